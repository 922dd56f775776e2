{{/* Labels by which pods are selected. Takes a list: the root, the component. */}}
{{- define "mcp-gateway.selector" -}}
app.kubernetes.io/name: mcp-gateway
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of what belongs to the release as a whole. */}}
{{- define "mcp-gateway.common" -}}
app.kubernetes.io/part-of: mcp-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* All labels of one component. Takes a list: the root, the component. */}}
{{- define "mcp-gateway.labels" -}}
{{ include "mcp-gateway.selector" . }}
{{ include "mcp-gateway.common" (index . 0) }}
{{- end }}

{{/* Labels of pods: no version of the chart, which would replace them with every release. */}}
{{- define "mcp-gateway.podLabels" -}}
{{ include "mcp-gateway.selector" . }}
app.kubernetes.io/part-of: mcp-gateway
{{- with (index . 0).Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A reference to an image. Takes a list: the root, the name in `images`. */}}
{{- define "mcp-gateway.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "mcp-gateway.port" -}}
{{- if .Values.tls.secretName }}8443{{ else }}8080{{ end }}
{{- end }}

{{- define "mcp-gateway.drainTimeoutMs" -}}
{{- .Values.settings.drainTimeoutMs | default 90000 | int64 }}
{{- end }}

{{/* gateway.yaml, the settings of the gateway and its controller. */}}
{{- define "mcp-gateway.settings" -}}
{{- $own := .Release.Namespace }}
{{- $settings := dict
  "listen" (printf "%s:%s" (ternary "0.0.0.0" "127.0.0.1" (gt (len .Values.issuers) 0)) (include "mcp-gateway.port" .))
  "home" "/run/mcp-gateway"
  "keyFile" "/etc/mcp-gateway/keys/keys.json"
  "namespace" .Values.backendNamespace.name
  "gatewayNamespace" $own
  "controllerUrl" (printf "http://mcp-gateway-controller.%s:8082" $own)
  "runnerImage" (include "mcp-gateway.image" (list . "runner"))
  "allowedHosts" (list (printf "mcp-gateway.%s" $own) (printf "mcp-gateway.%s.svc" $own) (printf "mcp-gateway.%s.svc.cluster.local" $own))
}}
{{- $settings = merge (deepCopy .Values.settings) $settings (dict "drainTimeoutMs" (include "mcp-gateway.drainTimeoutMs" . | int64)) }}
{{- if .Values.tls.secretName }}
{{- $settings = merge $settings (dict "tlsCertFile" "/etc/mcp-gateway/tls/tls.crt" "tlsKeyFile" "/etc/mcp-gateway/tls/tls.key") }}
{{- end }}
{{- if .Values.issuers }}
{{- $settings = merge $settings (dict "issuers" .Values.issuers) }}
{{- end }}
{{- if .Values.publicUrl }}
{{- $settings = merge $settings (dict "publicUrl" .Values.publicUrl) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* What cannot work is refused here, with what to do. */}}
{{- define "mcp-gateway.check" -}}
{{- $shared := or .Values.redis.secretName .Values.redis.embedded }}
{{- if and (gt (int .Values.gateway.replicas) 1) (not $shared) }}
{{- fail "gateway.replicas above 1 needs Redis, or each gateway would have limits and session records of its own: set redis.secretName (or redis.embedded to try it out)" }}
{{- end }}
{{- if and .Values.redis.secretName .Values.redis.embedded }}
{{- fail "redis.secretName and redis.embedded exclude each other" }}
{{- end }}
{{- if and (ne .Values.gateway.service.type "ClusterIP") (not .Values.issuers) }}
{{- fail (printf "gateway.service.type %s needs issuers: without them no token is asked for, and the gateway listens on the pod's loopback address only" .Values.gateway.service.type) }}
{{- end }}
{{- if and .Values.issuers (not .Values.publicUrl) }}
{{- fail "issuers need publicUrl, the URL under which clients reach the gateway: tokens are issued for it" }}
{{- end }}
{{- if eq .Values.backendNamespace.name .Release.Namespace }}
{{- fail (printf "backends need a namespace of their own: install the release in another one than %s (--namespace mcp-gateway --create-namespace)" .Release.Namespace) }}
{{- end }}
{{- end }}

{{- define "mcp-gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "mcp-gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Where pods of a component run. Takes a list: the root, the component. */}}
{{- define "mcp-gateway.placement" -}}
{{- $root := index . 0 }}
{{- $pods := index $root.Values (index . 1) }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "mcp-gateway.selector" . | nindent 6 }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "mcp-gateway.selector" . | nindent 6 }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The same for the sidecar and the controller. */}}
{{- define "mcp-gateway.environment" -}}
- { name: MCP_GATEWAY_CONFIG, value: /etc/mcp-gateway/config/gateway.yaml }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.secretName | default "mcp-gateway-redis" }}
      key: {{ .Values.redis.secretKey }}
      optional: {{ not (or .Values.redis.secretName .Values.redis.embedded) }}
{{- if .Values.caBundle.configMap }}
- { name: NODE_EXTRA_CA_CERTS, value: /etc/mcp-gateway/ca/{{ .Values.caBundle.key }} }
{{- end }}
{{- end }}

{{- define "mcp-gateway.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: probes }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: probes }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: probes }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{- define "mcp-gateway.apiToken" -}}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: { expirationSeconds: 3600, path: token }
    - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
    - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}

{{- define "mcp-gateway.caMount" -}}
{{- if .Values.caBundle.configMap }}
- { name: ca, mountPath: /etc/mcp-gateway/ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "mcp-gateway.caVolume" -}}
{{- if .Values.caBundle.configMap }}
- name: ca
  configMap: { name: {{ .Values.caBundle.configMap }} }
{{- end }}
{{- end }}
