{{/* What every pod of the gateway's image has in common. */}}
{{- define "trilemma.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "trilemma.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "trilemma.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "trilemma.env" -}}
- {name: HOME, value: /tmp}
{{- with .Values.database }}{{ if .secret }}
- name: TRILEMMA_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}{{ end }}
{{- if .Values.redis.internal.enabled }}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.redis.internal.password.secret }}, key: {{ .Values.redis.internal.password.key }}}}
- name: TRILEMMA_REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "trilemma.name" . }}-redis:6379/0
{{- else }}{{ with .Values.redis.external }}{{ if .secret }}
- name: TRILEMMA_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}{{ end }}{{ end }}
{{- range .Values.secretEnv }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- range .Values.env }}
- {name: {{ .name }}, value: {{ .value | quote }}}
{{- end }}
{{- end }}

{{/* Sockets are a pod's own; models are shared where the volume is. */}}
{{- define "trilemma.mounts" -}}
- {name: config, mountPath: /etc/trilemma, readOnly: true}
- {name: state, mountPath: /var/lib/trilemma}
- {name: run, mountPath: /var/lib/trilemma/run}
- {name: tmp, mountPath: /tmp}
{{- if .Values.policies.files }}
- {name: policies, mountPath: /etc/trilemma-policies, readOnly: true}
{{- end }}
{{- end }}

{{- define "trilemma.volumes" -}}
- name: config
  configMap: {name: {{ include "trilemma.name" . }}-config}
- name: run
  emptyDir: {}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
- name: state
{{- if .Values.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ include "trilemma.claim" . }}}
{{- else }}
  emptyDir: {}
{{- end }}
{{- if .Values.policies.files }}
- name: policies
  configMap: {name: {{ include "trilemma.name" . }}-policies}
{{- end }}
{{- end }}
