{{- define "trunkwatch.name" -}}
{{- if contains "trunkwatch" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-trunkwatch" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trunkwatch.selector" -}}
app.kubernetes.io/name: trunkwatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trunkwatch.labels" -}}
{{ include "trunkwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "trunkwatch.metadata" -}}
name: {{ include "trunkwatch.name" . }}
labels:
  {{- include "trunkwatch.labels" . | nindent 2 }}
{{- end }}
