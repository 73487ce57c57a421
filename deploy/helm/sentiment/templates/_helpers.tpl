{{- define "sentiment.fullname" -}}
{{- if contains "sentiment" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-sentiment" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sentiment.selector" -}}
app.kubernetes.io/name: {{ ternary "sentiment-shadow" "sentiment" (default false .IsShadow) }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Workers and shadows. */}}
{{- define "sentiment.anySelector" -}}
matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}
matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [sentiment, sentiment-shadow]}]
{{- end }}

{{- define "sentiment.labels" -}}
{{ include "sentiment.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sentiment.image" -}}
{{ ternary .Values.gpu.repository .Values.image.repository .Values.gpu.enabled }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "sentiment.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "sentiment.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* The settings as environment variables: plain ones from the values, secret ones from Secrets that exist. */}}
{{- define "sentiment.env" -}}
{{- range $name, $value := .Values.settings }}
- name: SENTIMENT_{{ upper $name }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- range $name, $ref := .Values.secretSettings }}
- name: SENTIMENT_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ $ref.name | quote }}, key: {{ $ref.key | quote }}}}
{{- end }}
{{- end }}

{{- define "sentiment.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "sentiment.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "sentiment.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range .Values.secretFiles }}
- {name: {{ printf "secret-%s" . | quote }}, mountPath: /etc/sentiment/{{ . }}, readOnly: true}
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sentiment.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- range .Values.secretFiles }}
- {name: {{ printf "secret-%s" . | quote }}, secret: {secretName: {{ . | quote }}, defaultMode: 288}}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
