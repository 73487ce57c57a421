{{/* The pod of a worker, or of a shadow where the context has IsShadow. */}}
{{- define "sentiment.pod" -}}
metadata:
  labels:
    {{- include "sentiment.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "sentiment.serviceAccount" . }}
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # Longer than a drain may take (revoke_timeout_s, then commit_timeout_s).
  terminationGracePeriodSeconds: 45
  securityContext:
    {{- include "sentiment.podSecurity" . | nindent 4 }}
  containers:
    - name: worker
      image: {{ include "sentiment.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [worker{{ if .IsShadow }}, --shadow{{ end }}]
      env:
        {{- if not .IsShadow }}
        - name: SENTIMENT_INSTANCE_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- end }}
        {{- if .Values.gpu.enabled }}
        - {name: SENTIMENT_DEVICE, value: cuda}
        {{- end }}
        {{- include "sentiment.env" . | nindent 8 }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: health, containerPort: 6066}
      # A first start may compile kernels, for as long as this.
      startupProbe:
        httpGet: {path: /live, port: health}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /live, port: health}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /ready, port: health}
        periodSeconds: 5
        timeoutSeconds: 5
      securityContext:
        {{- include "sentiment.containerSecurity" . | nindent 8 }}
      resources:
        {{- $resources := deepCopy .Values.resources }}
        {{- if .Values.gpu.enabled }}
        {{- $_ := set $resources "limits" (merge (dict "nvidia.com/gpu" .Values.gpu.count) ($resources.limits | default dict)) }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      volumeMounts:
        {{- include "sentiment.mounts" . | nindent 8 }}
  volumes:
    {{- include "sentiment.volumes" . | nindent 4 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "sentiment.selector" . | nindent 10 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $tolerations := .Values.tolerations }}
  {{- if .Values.gpu.enabled }}
  {{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") }}
  {{- end }}
  {{- with $tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
