BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0014');
CREATE TABLE console_sessions (
	digest VARCHAR(64) NOT NULL, 
	key_id VARCHAR(16) NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	seen_at_s DOUBLE NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "console_sessions" VALUES('2813bdcc26c335dfd6ccaa21b8d7c141e1b223be9a3d69ee8ba06ae352f340a5','k1',1780000000.0,1780000000.0);
CREATE TABLE decisions (
	decision_id VARCHAR(64) NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	trace_id VARCHAR(32), 
	tenant VARCHAR(64) NOT NULL, 
	policy_hash VARCHAR(64) NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	route VARCHAR(32) NOT NULL, 
	hint VARCHAR(32), 
	weights JSON NOT NULL, 
	limits JSON NOT NULL, 
	prompt_tokens INTEGER NOT NULL, 
	max_completion_tokens INTEGER, 
	needs JSON NOT NULL, 
	features_hash VARCHAR(64), 
	features JSON, 
	candidates JSON NOT NULL, 
	propensities JSON NOT NULL, 
	choice VARCHAR(64), 
	explored BOOLEAN NOT NULL, 
	violated VARCHAR(32), 
	fallback_used BOOLEAN NOT NULL, 
	pinned BOOLEAN NOT NULL, tags JSON DEFAULT '{}' NOT NULL, service_tier VARCHAR(16), prices JSON, valuation JSON, forced BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (decision_id)
);
INSERT INTO "decisions" VALUES('dec_1','req_dec_1',NULL,'default','0123456789ab',1700000000.25,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',0,NULL,0,0,'{"team": "search", "beta": ""}','flex',NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_2','req_dec_2','4bf92f3577b34da6a3ce929d0e0e4736','default','0123456789ab',1700000010.0,'completions',NULL,'{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,16,'["tools"]','f1','{"digits": 3.0, "language": "en"}','[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',1,'latency',0,0,'{}',NULL,'{"per_usd": 2.0, "per_s": 0.0, "per_quality": 0.0, "ceiling_usd": null}','{"quality_weight": 1.0, "keep": null, "per_usd": 3.5, "per_s": 0.01}',1);
INSERT INTO "decisions" VALUES('dec_3','req_dec_3',NULL,'default','0123456789ab',1700000020.0,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{}',NULL,0,NULL,1,0,'{"team": "search", "beta": ""}','flex',NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_4','req_dec_4',NULL,'default','0123456789ab',1700000030.0,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',0,NULL,0,1,'{}',NULL,NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_5','req_dec_5',NULL,'default','0123456789ab',1700000040.0,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',0,NULL,0,0,'{"team": "search", "beta": ""}','flex',NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_6','req_dec_6',NULL,'default','0123456789ab',1700000060.0,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',0,NULL,0,0,'{"family": "capitals"}',NULL,NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_7','req_dec_7',NULL,'law','0123456789ab',1700000070.0,'chat','balanced','{"speed": 0.2, "cost": 0.2, "accuracy": 0.6}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[{"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}}, {"variant": "quantized", "state": "warm", "excluded_because": null, "utility": 0.5, "propensity": 1.0}]','{"full": 0.0, "quantized": 1.0}','quantized',0,NULL,0,0,'{}',NULL,NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_8','req_dec_8',NULL,'law','',1700000080.0,'chat',NULL,'{}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[]','{}',NULL,0,NULL,0,0,'{}',NULL,NULL,NULL,0);
INSERT INTO "decisions" VALUES('dec_9','req_dec_9',NULL,'law','',1700000090.0,'chat',NULL,'{}','{"ttft_s": 2.0, "latency_s": null, "max_cost_usd": null, "min_quality": null}',60,NULL,'[]',NULL,NULL,'[]','{}',NULL,0,NULL,0,0,'{}',NULL,NULL,NULL,0);
CREATE TABLE estimators (
	hash VARCHAR(32) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	data BLOB NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	PRIMARY KEY (hash)
);
INSERT INTO "estimators" VALUES('00112233445566778899aabbccddeeff','answers',X'00',1780000000.0);
CREATE TABLE ledger_grants (
	tenant VARCHAR(64) NOT NULL, 
	period_s DOUBLE NOT NULL, 
	number BIGINT NOT NULL, 
	process VARCHAR(32) NOT NULL, 
	granted_nusd BIGINT NOT NULL, 
	spent_nusd BIGINT NOT NULL, 
	renewed_at_s DOUBLE NOT NULL, 
	PRIMARY KEY (tenant, period_s, number, process)
);
INSERT INTO "ledger_grants" VALUES('law',86400.0,19675,'0123456789abcdef0123456789abcdef',20000000,12345678,1700000100.5);
INSERT INTO "ledger_grants" VALUES('law',86400.0,19675,'fedcba9876543210fedcba9876543210',500,500,1700000050.25);
CREATE TABLE "observations" (
	observation_id VARCHAR(64) NOT NULL, 
	decision_id VARCHAR(64) NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	score DOUBLE NOT NULL, 
	weight DOUBLE NOT NULL, 
	comment TEXT, 
	cost_usd DOUBLE DEFAULT 0 NOT NULL, written_at_s DOUBLE, 
	PRIMARY KEY (decision_id, source, subject)
);
INSERT INTO "observations" VALUES('obs_dec_1_2','dec_1',1700000004.0,'check','json_schema','json_schema',1.0,2.0,'naïve ''quoted''',0.0,1700000004.0);
INSERT INTO "observations" VALUES('obs_dec_1_1','dec_1',1700000003.0,'feedback','','score',0.5,1.0,NULL,0.0,1700000003.0);
INSERT INTO "observations" VALUES('obs_dec_6_2','dec_6',1700000004.0,'agreement','full','full',0.75,0.25,NULL,2.0e-05,1700000004.0);
INSERT INTO "observations" VALUES('obs_dec_6_1','dec_6',1700000003.0,'check','regex','regex',1.0,1.0,NULL,0.0,1700000003.0);
INSERT INTO "observations" VALUES('obs_dec_1_22','dec_1',1700000024.0,'check','check0','check0',0.5,1.0,NULL,0.0,1700000024.0);
INSERT INTO "observations" VALUES('obs_dec_1_21','dec_1',1700000023.0,'check','check1','check1',0.25,1.0,NULL,0.0,1700000023.0);
CREATE TABLE outcomes (
	decision_id VARCHAR(64) NOT NULL, 
	ended_at_s DOUBLE NOT NULL, 
	ending VARCHAR(16) NOT NULL, 
	variant VARCHAR(64), 
	attempts JSON NOT NULL, 
	cache VARCHAR(16) NOT NULL, 
	queue_s DOUBLE NOT NULL, 
	ttft_s DOUBLE, 
	tpot_s DOUBLE, 
	latency_s DOUBLE NOT NULL, 
	prompt_tokens INTEGER NOT NULL, 
	completion_tokens INTEGER NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	finish_reason VARCHAR(32), 
	error_type VARCHAR(64), 
	stages JSON NOT NULL, 
	streamed BOOLEAN NOT NULL, confidence DOUBLE, quality DOUBLE, written_at_s DOUBLE, 
	PRIMARY KEY (decision_id)
);
INSERT INTO "outcomes" VALUES('dec_1',1700000001.5,'done','quantized','[{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": null}]','bypass',0.0,0.1,0.01,1.0,61,64,1.0e-05,'stop',NULL,'{"decide": 0.0001, "generate": 0.9}',1,NULL,NULL,1700000001.5);
INSERT INTO "outcomes" VALUES('dec_2',1700000011.0,'stopped','quantized','[{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": null}]','bypass',0.0,0.1,0.01,1.0,61,64,1.0e-05,NULL,'shutdown','{"decide": 0.0001, "generate": 0.9}',1,NULL,NULL,1700000011.0);
INSERT INTO "outcomes" VALUES('dec_3',1700000001.5,'failed',NULL,'[]','bypass',0.0,NULL,NULL,1.0,61,64,1.0e-05,NULL,'overloaded','{}',0,NULL,NULL,1700000001.5);
INSERT INTO "outcomes" VALUES('dec_4',1700000001.5,'cancelled','quantized','[{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": null}]','miss',0.0,0.1,NULL,1.0,61,0,1.0e-05,NULL,NULL,'{"decide": 0.0001, "generate": 0.9}',1,NULL,NULL,1700000001.5);
INSERT INTO "outcomes" VALUES('dec_6',1700000061.0,'done','quantized','[{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": null}]','bypass',0.0,0.1,0.01,1.0,61,64,1.0e-05,'stop',NULL,'{"decide": 0.0001, "generate": 0.9}',1,0.625,NULL,1700000061.0);
INSERT INTO "outcomes" VALUES('dec_7',1700000071.0,'done','quantized','[{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": null}]','bypass',0.0,0.1,0.01,1.0,61,64,1.0e-05,'stop',NULL,'{"decide": 0.0001, "generate": 0.9}',1,NULL,0.8125,1700000071.0);
INSERT INTO "outcomes" VALUES('dec_8',1700000080.002,'done','quantized','[]','exact',0.0,0.002,0.01,0.002,61,64,0.0,'stop',NULL,'{"decide": 0.0001, "generate": 0.9}',1,NULL,0.75,1700000080.002);
INSERT INTO "outcomes" VALUES('dec_9',1700000090.5,'failed',NULL,'[]','bypass',0.0,NULL,NULL,0.5,0,0,0.0,NULL,'overloaded','{"decide": 0.0001, "generate": 0.9}',1,NULL,NULL,1700000090.5);
CREATE TABLE policy_activations (
	activation INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	author VARCHAR(128) NOT NULL, 
	reason TEXT NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	PRIMARY KEY (activation), 
	FOREIGN KEY(version) REFERENCES policy_versions (version)
);
INSERT INTO "policy_activations" VALUES(1,1,'publish','ada','naïve ''first'' attempt',1700000000.25);
INSERT INTO "policy_activations" VALUES(2,2,'publish','trainer','new estimators',1700000100.5);
INSERT INTO "policy_activations" VALUES(3,1,'rollback','bob','answers got worse',1700000200.75);
CREATE TABLE policy_versions (
	version INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	text TEXT NOT NULL, 
	author VARCHAR(128) NOT NULL, 
	reason TEXT NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "policy_versions" VALUES(1,'everything','0123456789ab','# A document of schema version 1 that says everything one can say. It is kept as it is: stored text stays readable.
schema_version: 1
name: everything
description: Says all there is to say.
priorities:
  speed: {speed: 0.8, cost: 0.1, accuracy: 0.1}
rules:
  - name: legal
    match:
      tenant: [law, audit]
      tags: {app: [contracts, briefs]}
      hint: [accuracy]
      service_tier: [default, priority]
      language: [en, de]
      needs: [json_schema]
      min_prompt_tokens: 10
      max_prompt_tokens: 4000
    then:
      include: [full, quantized]
      exclude: [distilled]
      prefer: {full: 0.2, quantized: -0.1}
      limits: {ttft_s: 5, latency_s: 60, max_cost_usd: 0.01, min_quality: 0.5}
      weights: {accuracy: 1}
      quality_confidence: 0.9
      cascade: true
      hedge: true
      semantic_cache: true
exploration: {method: thompson, epsilon: 0.1, temperature: 0.0, draws: 64}
budgets:
  "*": {usd: 1, period_s: 86400}
  law: {usd: 0.01}
cascade: {first: quantized, then: full, threshold: 0.6, checks: false}
hedge: {after_quantile: 0.9, max_share: 0.02}
trials:
  - {variant: distilled, parent: full, share: 0.1, requests: 50}
fallback: [quantized, full, distilled]
estimators: {quality: 00112233aabb, length: 00112233aabc, latency: 00112233aabd}
','ada','naïve ''first'' attempt',1700000000.25);
INSERT INTO "policy_versions" VALUES(2,'everything','ba9876543210','# A document of schema version 1 that says everything one can say. It is kept as it is: stored text stays readable.
schema_version: 1
name: everything
description: Says all there is to say.
priorities:
  speed: {speed: 0.8, cost: 0.1, accuracy: 0.1}
rules:
  - name: legal
    match:
      tenant: [law, audit]
      tags: {app: [contracts, briefs]}
      hint: [accuracy]
      service_tier: [default, priority]
      language: [en, de]
      needs: [json_schema]
      min_prompt_tokens: 10
      max_prompt_tokens: 4000
    then:
      include: [full, quantized]
      exclude: [distilled]
      prefer: {full: 0.2, quantized: -0.1}
      limits: {ttft_s: 5, latency_s: 60, max_cost_usd: 0.01, min_quality: 0.5}
      weights: {accuracy: 1}
      quality_confidence: 0.9
      cascade: true
      hedge: true
      semantic_cache: true
exploration: {method: thompson, epsilon: 0.2, temperature: 0.0, draws: 64}
budgets:
  "*": {usd: 1, period_s: 86400}
  law: {usd: 0.01}
cascade: {first: quantized, then: full, threshold: 0.6, checks: false}
hedge: {after_quantile: 0.9, max_share: 0.02}
trials:
  - {variant: distilled, parent: full, share: 0.1, requests: 50}
fallback: [quantized, full, distilled]
estimators: {quality: 00112233aabb, length: 00112233aabc, latency: 00112233aabd}
','trainer','new estimators',1700000100.5);
CREATE TABLE tenant_changes (
	change INTEGER NOT NULL, 
	at_s DOUBLE NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	tenant VARCHAR(64) NOT NULL, 
	key_id VARCHAR(16), 
	detail JSON NOT NULL, 
	PRIMARY KEY (change)
);
INSERT INTO "tenant_changes" VALUES(1,1700000000.0,'configuration','add','support',NULL,'{"id": "support", "sla": {"window_s": 3600.0, "ttft_p95_s": null, "latency_p95_s": null, "mean_quality": null, "availability": null, "max_cost_usd": null, "objective": 0.99}, "limits": {"ttft_s": null, "latency_s": null, "max_cost_usd": null, "min_quality": null}, "quotas": {"requests_per_min": null, "tokens_per_min": null, "concurrent": null}, "budget": null, "max_service_tier": "default", "variants": null, "weight": 1.0, "semantic_cache": null}');
INSERT INTO "tenant_changes" VALUES(2,1700000001.0,'cli:alice','add','law',NULL,'{"id": "law", "sla": {"window_s": 3600.0, "ttft_p95_s": 2.0, "latency_p95_s": 20.0, "mean_quality": 0.9, "availability": 0.999, "max_cost_usd": 0.01, "objective": 0.99}, "limits": {"ttft_s": null, "latency_s": 60.0, "max_cost_usd": null, "min_quality": 0.6}, "quotas": {"requests_per_min": 60, "tokens_per_min": 90000, "concurrent": 8}, "budget": {"usd": 5.0, "period_s": 86400.0, "without_ledger": "last_known"}, "max_service_tier": "priority", "variants": ["full", "quantized"], "weight": 2.0, "semantic_cache": {"threshold": 0.97, "ttl_s": 3600.0}}');
INSERT INTO "tenant_changes" VALUES(3,1700000001.0,'cli:alice','add_key','law','AAAAAAAAAAAA','{"role": "admin", "name": "alice", "expires_at_s": null}');
INSERT INTO "tenant_changes" VALUES(4,1700000002.0,'AAAAAAAAAAAA','add_key','law','BBBBBBBBBBBB','{"role": "caller", "name": "app", "expires_at_s": 3276800002.0}');
INSERT INTO "tenant_changes" VALUES(5,1700000003.0,'AAAAAAAAAAAA','add_key','law','CCCCCCCCCCCC','{"role": "caller", "name": "app", "expires_at_s": 3276800003.0}');
INSERT INTO "tenant_changes" VALUES(6,1700000003.0,'AAAAAAAAAAAA','rotate_key','law','BBBBBBBBBBBB','{"successor": "CCCCCCCCCCCC", "expires_at_s": 1700003603.0}');
INSERT INTO "tenant_changes" VALUES(7,1700000004.0,'AAAAAAAAAAAA','add_key','support','DDDDDDDDDDDD','{"role": "operator", "name": "", "expires_at_s": null}');
INSERT INTO "tenant_changes" VALUES(8,1700000005.0,'AAAAAAAAAAAA','revoke_key','support','DDDDDDDDDDDD','{}');
INSERT INTO "tenant_changes" VALUES(9,1700000006.0,'AAAAAAAAAAAA','remove','support',NULL,'{}');
CREATE TABLE tenant_keys (
	key_id VARCHAR(16) NOT NULL, 
	tenant VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	expires_at_s DOUBLE, 
	revoked_at_s DOUBLE, 
	PRIMARY KEY (key_id), 
	UNIQUE (digest)
);
INSERT INTO "tenant_keys" VALUES('AAAAAAAAAAAA','law','admin','b939292e3ee55d2bc5a165eb63eab1b4014b26c023c63c4a76dea5f2731aeae2','alice',1700000001.0,NULL,NULL);
INSERT INTO "tenant_keys" VALUES('BBBBBBBBBBBB','law','caller','8e86529973cafbd6be109adeab5942216f0ca8607720e07cab19c1612b23f3cd','app',1700000002.0,1700003603.0,NULL);
INSERT INTO "tenant_keys" VALUES('CCCCCCCCCCCC','law','caller','822e5a8fc2c3c57c5c1ebd072cd0bcf7363d20015540b125e43554e4013c8557','app',1700000003.0,3276800003.0,NULL);
INSERT INTO "tenant_keys" VALUES('DDDDDDDDDDDD','support','operator','5c25738669af45ddd5012b95271c9146b00bbc60fe5cb581f9bd9305b9691341','',1700000004.0,NULL,1700000005.0);
CREATE TABLE tenants (
	tenant VARCHAR(64) NOT NULL, 
	document JSON NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	updated_at_s DOUBLE NOT NULL, 
	removed_at_s DOUBLE, 
	PRIMARY KEY (tenant)
);
INSERT INTO "tenants" VALUES('support','{"id": "support", "sla": {"window_s": 3600.0, "ttft_p95_s": null, "latency_p95_s": null, "mean_quality": null, "availability": null, "max_cost_usd": null, "objective": 0.99}, "limits": {"ttft_s": null, "latency_s": null, "max_cost_usd": null, "min_quality": null}, "quotas": {"requests_per_min": null, "tokens_per_min": null, "concurrent": null}, "budget": null, "max_service_tier": "default", "variants": null, "weight": 1.0, "semantic_cache": null}',1700000000.0,1700000006.0,1700000006.0);
INSERT INTO "tenants" VALUES('law','{"id": "law", "sla": {"window_s": 3600.0, "ttft_p95_s": 2.0, "latency_p95_s": 20.0, "mean_quality": 0.9, "availability": 0.999, "max_cost_usd": 0.01, "objective": 0.99}, "limits": {"ttft_s": null, "latency_s": 60.0, "max_cost_usd": null, "min_quality": 0.6}, "quotas": {"requests_per_min": 60, "tokens_per_min": 90000, "concurrent": 8}, "budget": {"usd": 5.0, "period_s": 86400.0, "without_ledger": "last_known"}, "max_service_tier": "priority", "variants": ["full", "quantized"], "weight": 2.0, "semantic_cache": {"threshold": 0.97, "ttl_s": 3600.0}}',1700000001.0,1700000001.0,NULL);
CREATE TABLE traces (
	span_id VARCHAR(16) NOT NULL, 
	trace_id VARCHAR(32) NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	decision_id VARCHAR(64), 
	tenant VARCHAR(64), 
	variant VARCHAR(64), 
	route VARCHAR(64) NOT NULL, 
	started_at_s DOUBLE NOT NULL, 
	duration_s DOUBLE NOT NULL, 
	status INTEGER NOT NULL, 
	error_type VARCHAR(64), 
	kept VARCHAR(16) NOT NULL, 
	stage VARCHAR(32) NOT NULL, 
	stage_s DOUBLE NOT NULL, 
	spans BLOB NOT NULL, 
	bytes INTEGER NOT NULL, 
	PRIMARY KEY (span_id)
);
CREATE TABLE training_requests (
	number INTEGER NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	because TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE trainings (
	number INTEGER NOT NULL, 
	created_at_s DOUBLE NOT NULL, 
	took_s DOUBLE NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	author VARCHAR(128) NOT NULL, 
	reason TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	judged_rows INTEGER NOT NULL, 
	fitted JSON NOT NULL, 
	in_force JSON NOT NULL, 
	promoted JSON NOT NULL, 
	because JSON NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "trainings" VALUES(1,1780000000.0,1.5,'fit','trainer','',100,60,'{"answers": "00112233445566778899aabbccddeeff"}','{"answers": "00112233445566778899aabbccddeeff"}','{"answers": true}','{"answers": "it is better"}','{}');
CREATE INDEX ix_decisions_created_at_s ON decisions (created_at_s);
CREATE INDEX ix_decisions_request_id ON decisions (request_id);
CREATE INDEX ix_policy_versions_hash ON policy_versions (hash);
CREATE INDEX ix_decisions_tenant_created_at_s ON decisions (tenant, created_at_s);
CREATE INDEX ix_tenant_keys_tenant ON tenant_keys (tenant);
CREATE INDEX ix_traces_trace_id ON traces (trace_id);
CREATE INDEX ix_traces_request_id ON traces (request_id);
CREATE INDEX ix_traces_decision_id ON traces (decision_id);
CREATE INDEX ix_traces_started_at_s ON traces (started_at_s);
CREATE INDEX ix_traces_duration_s ON traces (duration_s);
CREATE INDEX ix_traces_tenant_started_at_s ON traces (tenant, started_at_s);
CREATE INDEX ix_traces_variant_started_at_s ON traces (variant, started_at_s);
CREATE INDEX ix_traces_stage_started_at_s ON traces (stage, started_at_s);
CREATE INDEX ix_console_sessions_created_at_s ON console_sessions (created_at_s);
CREATE INDEX ix_estimators_kind_created_at_s ON estimators (kind, created_at_s);
CREATE INDEX ix_outcomes_written_at_s ON outcomes (written_at_s, decision_id);
CREATE INDEX ix_observations_written_at_s ON observations (written_at_s, observation_id);
COMMIT;
