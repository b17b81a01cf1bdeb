{{/* Checks what the schema cannot say. */}}
{{- define "lamina.validate" -}}
{{- $names := dict -}}
{{- $shared := .Values.coordinator.shared -}}
{{- $cellPorts := list -}}
{{- range .Values.tenants -}}
  {{- if and $shared (eq .name "coordinator") -}}{{- fail "tenants: with coordinator.shared no tenant may be named coordinator" -}}{{- end -}}
  {{- if and .ports (not $shared) -}}{{- fail (printf "tenants: ports of tenant %s need coordinator.shared: a coordinator of its own has the ports of ports.control and ports.link" .name) -}}{{- end -}}
  {{- $cellPorts = concat $cellPorts (include "lamina.cellPorts" (dict "root" $ "tenant" .) | fromJsonArray) -}}
  {{- if hasKey $names .name -}}{{- fail (printf "tenants: the name %s occurs twice" .name) -}}{{- end -}}
  {{- $_ := set $names .name true -}}
  {{- $pools := dict -}}
  {{- $tenant := .name -}}
  {{- $total := 0 -}}
  {{- range .pools -}}
    {{- if hasKey $pools .name -}}{{- fail (printf "tenants: tenant %s has two pools named %s" $tenant .name) -}}{{- end -}}
    {{- $_ := set $pools .name true -}}
    {{- $total = add $total .replicas -}}
    {{- if and .maxReplicas (le (int .maxReplicas) (int .replicas)) -}}{{- fail (printf "tenants: maxReplicas of pool %s of tenant %s must be above its replicas" .name $tenant) -}}{{- end -}}
    {{- if and .waitingPerNode (not .maxReplicas) -}}{{- fail (printf "tenants: waitingPerNode of pool %s of tenant %s needs maxReplicas" .name $tenant) -}}{{- end -}}
    {{- if gt (len (printf "%s-%s-%s" $.Release.Name $tenant .name)) 52 -}}{{- fail (printf "the name %s-%s-%s is longer than the 52 characters of a StatefulSet's" $.Release.Name $tenant .name) -}}{{- end -}}
  {{- end -}}
  {{- range .models -}}
    {{- if gt (int (default 1 .nodes)) (int $total) -}}{{- fail (printf "tenants: model %s of tenant %s waits for %d nodes, its pools have %d" .path $tenant (int .nodes) (int $total)) -}}{{- end -}}
  {{- end -}}
  {{- $claim := default "" .modelsClaim -}}
  {{- range .models -}}
    {{- if and (hasPrefix "/models/" .path) (not $claim) -}}{{- fail (printf "tenants: model %s of tenant %s lies on the volume of modelsClaim, which is not set" .path $tenant) -}}{{- end -}}
  {{- end -}}
  {{- if gt (len (printf "%s-%s-coordinator" $.Release.Name .name)) 52 -}}{{- fail (printf "the name %s-%s-coordinator is longer than the 52 characters of a StatefulSet's" $.Release.Name .name) -}}{{- end -}}
{{- end -}}
{{- $ports := list .Values.ports.api .Values.ports.admin .Values.ports.control .Values.ports.link .Values.ports.health -}}
{{- if ne (len (uniq $ports)) 5 -}}{{- fail "ports: api, admin, control, link and health must differ" -}}{{- end -}}
{{- if $shared -}}
{{- $taken := dict -}}
{{- range concat $cellPorts (list .Values.ports.api .Values.ports.admin .Values.ports.health) -}}
  {{- if hasKey $taken (int . | toString) -}}{{- fail (printf "coordinator.shared: two of the coordinator's ports are %d; give a tenant ports of its own (tenants[].ports)" (int .)) -}}{{- end -}}
  {{- if gt (int .) 65535 -}}{{- fail (printf "coordinator.shared: a tenant's port would be %d; give it ports of its own (tenants[].ports)" (int .)) -}}{{- end -}}
  {{- $_ := set $taken (int . | toString) true -}}
{{- end -}}
{{- if and .Values.namespacePerTenant (ne .Values.certificates.mode "secrets") -}}{{- fail (printf "coordinator.shared with namespacePerTenant needs certificates.mode secrets: with %s, what lies in a tenant's namespace would issue for, or write into, the namespace of the coordinator that all tenants share" .Values.certificates.mode) -}}{{- end -}}
{{- end -}}
{{- if and .Values.api.expose (not .Values.api.tlsSecret) -}}{{- fail "api.expose needs api.tlsSecret: beyond loopback the API speaks HTTPS only" -}}{{- end -}}
{{- if and .Values.api.expose .Values.networkPolicies.enabled (not .Values.api.from) -}}{{- fail "api.expose needs api.from, or the network policies drop every request" -}}{{- end -}}
{{- $routed := or .Values.api.ingress.enabled .Values.api.gateway.enabled -}}
{{- if and $routed (not .Values.api.expose) -}}{{- fail "api.ingress and api.gateway need api.expose" -}}{{- end -}}
{{- if and .Values.api.ingress.enabled (not .Values.api.ingress.tlsSecret) -}}{{- fail "api.ingress needs api.ingress.tlsSecret: keys and prompts travel by HTTPS only" -}}{{- end -}}
{{- if and .Values.api.gateway.enabled (not .Values.api.gateway.parentRefs) -}}{{- fail "api.gateway needs api.gateway.parentRefs, the Gateways that its routes join" -}}{{- end -}}
{{- if and .Values.tests.keySecret (not .Values.api.expose) -}}{{- fail "tests.keySecret needs api.expose: an API on loopback is reached from its own pod alone" -}}{{- end -}}
{{- $hosts := dict -}}
{{- if and $routed $shared (not (include "lamina.hosts" (dict "root" . "tenants" .Values.tenants) | fromJsonArray)) -}}{{- fail "api.ingress and api.gateway need tenants[].host; no tenant has one" -}}{{- end -}}
{{- range .Values.tenants -}}
{{- if and $routed (not .host) (not $shared) -}}{{- fail (printf "api.ingress and api.gateway need tenants[].host; tenant %s has none" .name) -}}{{- end -}}
{{- if and .host (not $routed) -}}{{- fail (printf "tenants: host of tenant %s needs api.ingress or api.gateway" .name) -}}{{- end -}}
{{- if .host -}}
{{- if and (hasKey $hosts .host) (not $shared) -}}{{- fail (printf "tenants: the host %s occurs twice" .host) -}}{{- end -}}
{{- $_ := set $hosts .host true -}}
{{- end -}}
{{- end -}}
{{- with .Values.database -}}
{{- if .secret -}}
{{- if or (not .host) (not .user) -}}{{- fail "database.secret needs database.host and database.user" -}}{{- end -}}
{{- if and $.Values.networkPolicies.enabled (not .to) -}}{{- fail "database.secret needs database.to, or the network policies drop every connection to it" -}}{{- end -}}
{{- else if .host -}}{{- fail "database.host needs database.secret, an existing Secret with the keys pgpass and state.key" -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int .Values.coordinator.replicas) 1) (not .Values.database.secret) -}}{{- fail "coordinator.replicas above 1 needs database.secret: several coordinators share tenants, keys and usage in one PostgreSQL database" -}}{{- end -}}
{{- if lt (int .Values.coordinator.terminationGracePeriodSeconds) (add .Values.coordinator.lingerSeconds 20 | int) -}}{{- fail "coordinator.terminationGracePeriodSeconds must be at least coordinator.lingerSeconds and 20 more" -}}{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.networkPolicies.enabled (not .Values.monitoring.namespace) -}}{{- fail "monitoring.serviceMonitor.enabled needs monitoring.namespace, or the network policies drop every scrape" -}}{{- end -}}
{{- end -}}

{{/* True for what all tenants share: the coordinator's and the API's objects, with coordinator.shared */}}
{{- define "lamina.shared" -}}
{{- if and .root.Values.coordinator.shared (has (default "" .part) (list "coordinator" "api")) }}true{{ end -}}
{{- end -}}

{{/* The coordinators of the release, as JSON: the tenants of each */}}
{{- define "lamina.fronts" -}}
{{- if .Values.coordinator.shared -}}
{{- list .Values.tenants | toJson -}}
{{- else -}}
{{- $fronts := list -}}
{{- range .Values.tenants }}{{ $fronts = append $fronts (list .) }}{{ end -}}
{{- toJson $fronts -}}
{{- end -}}
{{- end -}}

{{- define "lamina.namespace" -}}
{{- if and .root.Values.namespacePerTenant (not (include "lamina.shared" .)) }}{{ .root.Release.Name }}-{{ .tenant.name }}{{ else }}{{ .root.Release.Namespace }}{{ end -}}
{{- end -}}

{{/* release-tenant-part, or release-part of what all tenants share; part is "coordinator" or a pool's name */}}
{{- define "lamina.name" -}}{{ .root.Release.Name }}-{{ if not (include "lamina.shared" .) }}{{ .tenant.name }}-{{ end }}{{ .part }}{{- end -}}

{{/* release-tenant-part of what each tenant has for itself of a part, shared or not: its certificates */}}
{{- define "lamina.ownName" -}}{{ .root.Release.Name }}-{{ .tenant.name }}-{{ .part }}{{- end -}}

{{/* Host names that lead to a coordinator's API, as JSON */}}
{{- define "lamina.hosts" -}}
{{- $hosts := list -}}
{{- range .tenants }}{{ with .host }}{{ $hosts = append $hosts . }}{{ end }}{{ end -}}
{{- uniq $hosts | toJson -}}
{{- end -}}

{{/* Control and link port of a tenant's cell in its coordinator, as JSON: each cell of a shared one has two of its own, in the order of tenants unless it names them */}}
{{- define "lamina.cellPorts" -}}
{{- $root := .root -}}
{{- $name := .tenant.name -}}
{{- $ports := list (int $root.Values.ports.control) (int $root.Values.ports.link) -}}
{{- if $root.Values.coordinator.shared -}}
{{- range $at, $tenant := $root.Values.tenants -}}
{{- if eq $tenant.name $name -}}
{{- with $tenant.ports }}{{ $ports = list (int .control) (int .link) }}{{ else }}{{ $ports = list (add (index $ports 0) (mul 2 $at) | int) (add (index $ports 1) (mul 2 $at) | int) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* DNS name of pod number .ordinal of a part, as its certificate and the cell name it */}}
{{- define "lamina.host" -}}
{{- $name := include "lamina.name" . -}}
{{ $name }}-{{ .ordinal }}.{{ $name }}.{{ include "lamina.namespace" . }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{- define "lamina.releaseLabels" -}}
app.kubernetes.io/name: lamina
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lamina.commonLabels" -}}
{{ include "lamina.releaseLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Labels that select one part's pods; a shared coordinator is no tenant's */}}
{{- define "lamina.selector" -}}
{{ include "lamina.releaseLabels" .root }}
app.kubernetes.io/component: {{ if eq .part "coordinator" }}coordinator{{ else }}node{{ end }}
{{- if not (include "lamina.shared" .) }}
lamina.dev/tenant: {{ .tenant.name }}
{{- end }}
lamina.dev/part: {{ .part }}
{{- end -}}

{{- define "lamina.labels" -}}
{{ include "lamina.commonLabels" .root }}
app.kubernetes.io/component: {{ if eq .part "coordinator" }}coordinator{{ else }}node{{ end }}
{{- if not (include "lamina.shared" .) }}
lamina.dev/tenant: {{ .tenant.name }}
{{- end }}
lamina.dev/part: {{ .part }}
{{- end -}}

{{- define "lamina.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "lamina.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.runAsUser }}
runAsGroup: {{ .Values.runAsUser }}
fsGroup: {{ .Values.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "lamina.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "lamina.scheduling" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Pods of one part on machines of their own, as far as there are enough */}}
{{- define "lamina.spread" -}}
topologySpreadConstraints:
  {{- range .root.Values.topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lamina.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{- define "lamina.probes" -}}
startupProbe:
  httpGet: { path: /health/live, port: health }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /health/live, port: health }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /health/ready, port: health }
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}

{{/* One Secret for a part of a cell: ca.crt, and for each pod POD.crt and POD.key; with cert-manager, which makes a Secret for each pod, projected to the same names. */}}
{{- define "lamina.pkiVolume" -}}
- name: {{ default "pki" .volume }}
{{- $own := include "lamina.ownName" . }}
{{- if ne .root.Values.certificates.mode "certManager" }}
  secret:
    secretName: {{ $own }}-pki
    defaultMode: 288 # 0440
{{- else }}
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- $name := include "lamina.name" . }}
      {{- range $ordinal := until (int .replicas) }}
      - secret:
          name: {{ $own }}-{{ $ordinal }}-pki
          items:
            - { key: tls.crt, path: {{ $name }}-{{ $ordinal }}.crt }
            - { key: tls.key, path: {{ $name }}-{{ $ordinal }}.key }
            {{- if eq $ordinal 0 }}
            - { key: ca.crt, path: ca.crt }
            {{- end }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "lamina.podMeta" -}}
labels:
  {{- include "lamina.labels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  lamina.dev/config: {{ .config | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Control endpoints of a tenant's coordinators, as JSON, in the same order everywhere: the first may form the cell */}}
{{- define "lamina.seeds" -}}
{{- $seeds := list -}}
{{- range $ordinal := until (int .root.Values.coordinator.replicas) -}}
  {{- $seeds = append $seeds (printf "%s:%d" (include "lamina.host" (dict "root" $.root "tenant" $.tenant "part" "coordinator" "ordinal" $ordinal)) (int (include "lamina.cellPorts" $ | fromJsonArray | first))) -}}
{{- end -}}
{{- toJson $seeds -}}
{{- end -}}

{{/* Folder of a cell's certificates in its coordinator's pod */}}
{{- define "lamina.pkiFolder" -}}
/etc/lamina/pki{{ if .root.Values.coordinator.shared }}/{{ .tenant.name }}{{ end }}
{{- end -}}

{{/* Where a tenant's claim of models is mounted in its coordinator's pod; the values call it /models */}}
{{- define "lamina.modelsFolder" -}}
/models{{ if .root.Values.coordinator.shared }}/{{ .tenant.name }}{{ end }}
{{- end -}}

{{/* One entry of Coordinator:Cells */}}
{{- define "lamina.cellConfig" -}}
{{- $models := list -}}
{{- $folder := include "lamina.modelsFolder" . -}}
{{- range .tenant.models -}}
  {{- $model := dict "Path" (hasPrefix "/models/" .path | ternary (printf "%s/%s" $folder (trimPrefix "/models/" .path)) .path) -}}
  {{- with .name }}{{- $_ := set $model "Name" . -}}{{- end -}}
  {{- with .nodes }}{{- $_ := set $model "Nodes" (int .) -}}{{- end -}}
  {{- with .stages }}{{- $_ := set $model "Stages" . -}}{{- end -}}
  {{- with .contextLength }}{{- $_ := set $model "ContextLength" (int .) -}}{{- end -}}
  {{- with .threads }}{{- $_ := set $model "Threads" (int .) -}}{{- end -}}
  {{- with .pipelines }}{{- $_ := set $model "Pipelines" (int .) -}}{{- end -}}
  {{- with .spares }}{{- $_ := set $model "Spares" (int .) -}}{{- end -}}
  {{- with .draftTokens }}{{- $_ := set $model "DraftTokens" (int .) -}}{{- end -}}
  {{- with .kvCacheType }}{{- $_ := set $model "KvCacheType" . -}}{{- end -}}
  {{- with .sha256 }}{{- $_ := set $model "Sha256" . -}}{{- end -}}
  {{- $models = append $models $model -}}
{{- end -}}
{{- $ports := include "lamina.cellPorts" . | fromJsonArray -}}
{{- $cell := dict "Tenant" .tenant.name "TrustBundlePath" (printf "%s/ca.crt" (include "lamina.pkiFolder" .)) "BindAddress" "0.0.0.0" "ControlPort" (index $ports 0 | int) "LinkPort" (index $ports 1 | int)
  "Seeds" (include "lamina.seeds" . | fromJsonArray) "Models" $models -}}
{{- $tenant := .tenant.name -}}
{{- with .tenant.modelPolicy -}}
  {{- $import := dict -}}
  {{- with .leastTrust }}{{- $_ := set $import "LeastTrust" . -}}{{- end -}}
  {{- with .maxBytes }}{{- $_ := set $import "MaxBytes" (int64 .) -}}{{- end -}}
  {{- if hasKey . "sandbox" }}{{- $_ := set $import "Sandbox" .sandbox -}}{{- end -}}
  {{- $keys := list -}}
  {{- range $at, $key := .signingKeys }}{{- $keys = append $keys (printf "/etc/lamina/config/signing-%s-%d.pem" $tenant $at) -}}{{- end -}}
  {{- if $keys }}{{- $_ := set $import "SigningKeys" $keys -}}{{- end -}}
  {{- $_ := set $cell "Import" $import -}}
{{- end -}}
{{- toJson $cell -}}
{{- end -}}

{{- define "lamina.coordinatorConfig" -}}
{{- $values := .root.Values -}}
{{- $cells := list -}}
{{- range .tenants -}}
  {{- $cells = append $cells (include "lamina.cellConfig" (dict "root" $.root "tenant" .) | fromJson) -}}
{{- end -}}
{{- $grace := int $values.coordinator.terminationGracePeriodSeconds -}}
{{- $linger := int $values.coordinator.lingerSeconds -}}
{{- $coordinator := dict "LingerSeconds" $linger "DrainSeconds" (sub $grace (add $linger 15) | int) "Listen" (printf "%s:%d" (ternary "0.0.0.0" "127.0.0.1" $values.api.expose) (int $values.ports.api)) "Admin" (dict "Listen" (printf "127.0.0.1:%d" (int $values.ports.admin))) "StorePath" "/var/lib/lamina/store" "Cells" $cells -}}
{{- if $values.api.expose -}}{{- $_ := set $coordinator "Tls" (dict "CertificatePath" "/etc/lamina/https/tls.crt" "KeyPath" "/etc/lamina/https/tls.key") -}}{{- end -}}
{{- with $values.api.securityContact -}}
  {{- $contact := dict "Contact" . -}}
  {{- with $values.api.securityPolicy -}}{{- $_ := set $contact "Policy" . -}}{{- end -}}
  {{- $_ := set $coordinator "SecurityContact" $contact -}}
{{- end -}}
{{- with $values.database -}}
{{- if .secret -}}
  {{- $database := printf "Host=%s;Port=%d;Database=%s;Username=%s;SSL Mode=%s;Passfile=/etc/lamina/database/pgpass" .host (int .port) .name .user .sslMode -}}
  {{- if hasPrefix "Verify" .sslMode -}}{{- $database = printf "%s;Root Certificate=/etc/lamina/database/ca.crt" $database -}}{{- end -}}
  {{- $_ := set $coordinator "Database" $database -}}
  {{- $_ := set $coordinator "SecretPath" "/etc/lamina/database/state.key" -}}
{{- end -}}
{{- end -}}
{{- dict "Coordinator" $coordinator "Health" (dict "Listen" (printf "0.0.0.0:%d" (int $values.ports.health))) | toPrettyJson -}}
{{- end -}}

{{- define "lamina.nodeConfig" -}}
{{- $values := .root.Values -}}
{{- $node := dict "Tenant" .tenant.name "TrustBundlePath" "/etc/lamina/pki/ca.crt" "BindAddress" "0.0.0.0" "ControlPort" (int $values.ports.control) "LinkPort" (int $values.ports.link)
  "Seeds" (include "lamina.seeds" . | fromJsonArray) "CachePath" "/var/cache/lamina/tensors" "DrainSeconds" (sub (int $values.node.terminationGracePeriodSeconds) 10 | int)
  "Threads" (int (default $values.node.threads .pool.threads)) "MemoryBytes" (int64 (default $values.node.memoryBytes .pool.memoryBytes)) "Device" (ternary "cuda:0" "cpu" (default false .pool.gpu)) -}}
{{- dict "Node" $node "Health" (dict "Listen" (printf "0.0.0.0:%d" (int $values.ports.health))) | toPrettyJson -}}
{{- end -}}
