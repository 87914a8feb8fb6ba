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

{{/* What the pods of both programs have in common; each block is its own place in a pod. */}}
{{- define "trunkwatch.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trunkwatch.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
# Health in all three: while a CI server is down the exporter is not ready, and neither a
# restart nor hiding its pages would help.
startupProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 15
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 15
  timeoutSeconds: 5
{{- end }}

{{/* Of the second program: its own name, so that no selector of the exporter finds its pod. */}}
{{- define "trunkwatch.tickets.selector" -}}
app.kubernetes.io/name: trunkwatch-tickets
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trunkwatch.tickets.metadata" -}}
name: {{ include "trunkwatch.name" . }}-tickets
labels:
  {{- include "trunkwatch.tickets.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "trunkwatch.metadata" -}}
name: {{ include "trunkwatch.name" . }}
labels:
  {{- include "trunkwatch.labels" . | nindent 2 }}
{{- end }}
