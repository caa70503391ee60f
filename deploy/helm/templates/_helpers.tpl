{{- define "switchboard.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "switchboard.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "switchboard.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "switchboard.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: switchboard
{{- end }}

{{- define "switchboard.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "switchboard.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "switchboard.secret" -}}
{{- if .Values.secrets.create }}{{ include "switchboard.fullname" . }}{{ else }}{{ .Values.secrets.existingSecret }}{{ end }}
{{- end }}

{{- /* The services: what each listens on, whom it dials, who may call it, which secrets it sees,
      and which of the models it asks. */}}
{{- define "switchboard.services" -}}
edge: {grpc: 50055, dials: [router, memory], callers: [edge], secrets: [auth-signing-keys], model: ""}
router: {grpc: 50051, dials: [agent, memory, formatter], callers: [edge], secrets: [openai-api-key], model: router}
agent: {grpc: 50052, dials: [memory], callers: [router], secrets: [openai-api-key], model: agent}
memory: {grpc: 50053, dials: [], callers: [edge, router, agent], secrets: [database-url, master-keys, openai-api-key], model: embedding}
formatter: {grpc: 50054, dials: [], callers: [router], secrets: [], model: ""}
{{- end }}

{{- /* How many pods there are at the least: {name, values}. */}}
{{- define "switchboard.least" -}}
{{- if .autoscaling.enabled }}{{ .autoscaling.minReplicas }}{{ else }}{{ .replicas }}{{ end }}
{{- end }}

{{- define "switchboard.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "switchboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* The secrets of whoever reaches the database. */}}
{{- define "switchboard.databaseSecrets" -}}
{{- if and (eq .Values.database.pooling "transaction") (not .Values.database.direct) }}
{{- fail "database.pooling transaction needs database.direct: over such a pooler nothing can be listened to" }}
{{- end -}}
database-url{{ if .Values.database.direct }} database-direct-url{{ end }}{{ if .Values.database.ca }} database-ca{{ end }}
{{- end }}

{{- define "switchboard.outToDatabase" -}}
{{- include "switchboard.outTo" .Values.networkPolicy.database }}
{{- if .Values.database.direct }}
{{ include "switchboard.outTo" .Values.networkPolicy.databaseDirect }}
{{- end }}
{{- end }}

{{- /* A setting from a secret, as a file: "master-keys" is MASTER_KEYS_FILE. */}}
{{- define "switchboard.secretEnv" -}}
- name: {{ . | upper | replace "-" "_" }}_FILE
  value: /run/secrets/switchboard/{{ . }}
{{- end }}

{{- define "switchboard.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "switchboard.secret" .root }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
