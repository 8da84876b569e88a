{{- define "trilemma.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trilemma.selector" -}}
app.kubernetes.io/name: trilemma
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trilemma.labels" -}}
{{ include "trilemma.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "trilemma.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* "true" where more than one gateway pod may run. */}}
{{- define "trilemma.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{/* "true" where the volume can be mounted by several pods. */}}
{{- define "trilemma.shared" -}}
{{- if and .Values.persistence.enabled (has "ReadWriteMany" .Values.persistence.accessModes) }}true{{ end }}
{{- end }}

{{- define "trilemma.claim" -}}
{{- .Values.persistence.existingClaim | default (include "trilemma.name" .) }}
{{- end }}

{{/* Seconds a pod is given to end: out of the Service, requests in flight, the workers, some air. */}}
{{- define "trilemma.graceSeconds" -}}
{{- $server := .Values.config.server | default dict }}
{{- add (int .Values.preStopSeconds) (ceil ($server.drain_s | default 20)) 15 }}
{{- end }}

{{/* Bytes that the workers together may take: three quarters of the container's limit, which processes in it cannot see. */}}
{{- define "trilemma.memoryBudget" -}}
{{- $limit := toString .Values.resources.limits.memory }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $unit := regexFind "[A-Za-z]*$" $limit }}
{{- if not (hasKey $units $unit) }}{{ fail (printf "resources.limits.memory: `%s` is in no unit that is known here" $limit) }}{{ end }}
{{- mulf 0.75 (float64 (trimSuffix $unit $limit)) (get $units $unit) | int64 }}
{{- end }}

{{/* trilemma.yaml: the values' `config`, with what only the chart knows. */}}
{{- define "trilemma.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $listen := dict "host" "0.0.0.0" "port" 8080 }}
{{- $_ := set $config "server" (mergeOverwrite ($config.server | default dict) $listen) }}
{{- $local := false }}
{{- range $config.variants }}{{ if ne .engine "openai" }}{{ $local = true }}{{ end }}{{ end }}
{{- if and $local (not $config.server.memory_budget_bytes) .Values.resources.limits.memory }}
{{- $_ := set $config.server "memory_budget_bytes" (include "trilemma.memoryBudget" . | int64) }}
{{- end }}
{{- if .Values.database.secret }}
{{- $_ := set $config "store" (mergeOverwrite ($config.store | default dict) (dict "database_url" "env:TRILEMMA_DATABASE_URL")) }}
{{- end }}
{{- if or .Values.redis.internal.enabled .Values.redis.external.secret }}
{{- $_ := set $config "cache" (mergeOverwrite ($config.cache | default dict) (dict "url" "env:TRILEMMA_REDIS_URL")) }}
{{- end }}
{{- if include "trilemma.several" . }}
{{- $_ := set $config "training" (mergeOverwrite ($config.training | default dict) (dict "enabled" false)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}
