{{/* What no schema can say: values that are right one by one, and wrong together. */}}
{{- define "trilemma.checks" -}}
{{- $redis := or .Values.redis.internal.enabled .Values.redis.external.secret }}
{{- if and (include "trilemma.several" .) (not .Values.database.secret) }}
{{- fail "replicas: more than one gateway pod needs a database that they share; set database.secret, or replicas: 1" }}
{{- end }}
{{- if and (include "trilemma.several" .) (not $redis) }}
{{- fail "replicas: more than one gateway pod needs Redis for limits that hold over all; set redis.external.secret or redis.internal.enabled" }}
{{- end }}
{{- if and (include "trilemma.several" .) .Values.persistence.enabled (not (include "trilemma.shared" .)) }}
{{- fail "persistence.accessModes: several gateway pods share the volume, so it has to be ReadWriteMany" }}
{{- end }}
{{- if and .Values.trainer.enabled (not .Values.database.secret) }}
{{- fail "trainer.enabled: the job reads the log from a database that it can reach; set database.secret" }}
{{- end }}
{{- if and .Values.redis.internal.enabled .Values.redis.external.secret }}
{{- fail "redis: set redis.internal.enabled or redis.external.secret, not both" }}
{{- end }}
{{- if and .Values.redis.internal.enabled (not .Values.redis.internal.password.secret) }}
{{- fail "redis.internal.password.secret: name the secret that holds Redis's password" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.serviceMonitor.bearer.secret) }}
{{- fail "serviceMonitor.bearer.secret: /metrics needs a key of role `operator`; name the secret that holds one" }}
{{- end }}
{{- if and .Values.policies.publish (not (hasKey .Values.policies.files .Values.policies.publish)) }}
{{- fail (printf "policies.publish: `%s` is not among policies.files" .Values.policies.publish) }}
{{- end }}
{{- include "trilemma.noSecrets" . }}
{{- end }}

{{/* The configuration becomes a ConfigMap, which many may read. */}}
{{- define "trilemma.noSecrets" -}}
{{- $database := (.Values.config.store | default dict).database_url | default "env:" }}
{{- if not (or (hasPrefix "env:" $database) (hasPrefix "sqlite:" $database)) }}
{{- fail "config.store.database_url: a URL may hold a password and would be kept in a ConfigMap; set database.secret" }}
{{- end }}
{{- if contains "@" ((.Values.config.cache | default dict).url | default "") }}
{{- fail "config.cache.url: a URL with a password would be kept in a ConfigMap; set redis.external.secret" }}
{{- end }}
{{- $telemetry := .Values.config.telemetry | default dict }}
{{- range $name, $value := (($telemetry.otlp | default dict).headers | default dict) }}
{{- if and (regexMatch "(?i)auth|key|token|secret" $name) (not (hasPrefix "env:" $value)) }}
{{- fail (printf "config.telemetry.otlp.headers.%s: would be kept in a ConfigMap; say env:NAME and set secretEnv" $name) }}
{{- end }}
{{- end }}
{{- range .Values.config.variants }}
{{- if not (hasPrefix "env:" (.api_key | default "env:")) }}
{{- fail (printf "config.variants: the api_key of `%s` would be kept in a ConfigMap; say env:NAME and set secretEnv" .name) }}
{{- end }}
{{- if regexMatch "^[a-z]+://[^/]*@" .source }}
{{- fail (printf "config.variants: the source of `%s` holds a password; say api_key: env:NAME and set secretEnv" .name) }}
{{- end }}
{{- end }}
{{- end }}
