using System.Text.RegularExpressions;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests;

/// <summary>What every rendered object must satisfy, whatever the values.</summary>
public sealed partial class RuleTests
{
    public static TheoryData<string> Cases => [.. Chart.Cases.Keys];

    private static readonly string[] s_volumes = ["config", "pki", "tmp", "models", "https", "database", "key", "token"];

    [Trait("Attack", "M1")]
    [Theory]
    [MemberData(nameof(Cases))]
    public void Objects_OfEachCase_KeepTheRules(string name)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.Cases[name]);
        Assert.Equal(manifests.Count, manifests.Select(manifest => (manifest.Kind, manifest.Namespace, manifest.Name)).Distinct().Count());
        foreach (Manifest manifest in manifests)
        {
            Assert.Equal("lamina", manifest.Labels["app.kubernetes.io/name"]);
            Assert.Equal("lamina", manifest.Labels["app.kubernetes.io/instance"]);
            Assert.Equal("Helm", manifest.Labels["app.kubernetes.io/managed-by"]);
            Assert.True(manifest.Kind == "Namespace" || manifest.Namespace is not null, $"{manifest.Kind} {manifest.Name} names no namespace");
            Assert.NotEqual("Secret", manifest.Kind);
            Assert.DoesNotContain("PRIVATE KEY", manifest.Text, StringComparison.Ordinal);
            Assert.DoesNotMatch(SecretValue(), manifest.Text);
            if (manifest.PodTemplate is { } pod)
            {
                CheckPod(pod, manifests, manifest);
            }

            if (manifest.Value is V1ServiceAccount account)
            {
                Assert.False(account.AutomountServiceAccountToken);
            }
        }

        CheckReferences(manifests);
    }

    private static void CheckPod(V1PodTemplateSpec template, IReadOnlyList<Manifest> manifests, Manifest owner)
    {
        // Pod Security "restricted", and more: https://kubernetes.io/docs/concepts/security/pod-security-standards/
        V1PodSpec pod = template.Spec;
        Assert.False(pod.AutomountServiceAccountToken);
        Assert.False(pod.EnableServiceLinks);
        Assert.True(pod.HostNetwork is null or false);
        Assert.True(pod.HostPID is null or false);
        Assert.True(pod.HostIPC is null or false);
        Assert.True(pod.SecurityContext.RunAsNonRoot);
        Assert.True(pod.SecurityContext.RunAsUser > 0);
        Assert.Equal("RuntimeDefault", pod.SecurityContext.SeccompProfile.Type);
        Assert.All(pod.Volumes, volume => Assert.Contains(volume.Name.Split('-')[0], s_volumes)); // a shared coordinator has pki-TENANT and models-TENANT of each
        Assert.All(pod.Volumes, volume => Assert.Null(volume.HostPath));
        Assert.Null(pod.InitContainers);

        // A token for the Kubernetes API is for the pods that keep the certificates, alone, and for ten minutes.
        bool keeps = owner.Labels.TryGetValue("app.kubernetes.io/component", out string? component) && component == "pki";
        Assert.Equal(keeps, pod.Volumes.Any(volume => volume.Name == "token"));
        V1ServiceAccountTokenProjection[] tokens = [.. pod.Volumes.SelectMany(volume => volume.Projected?.Sources ?? []).Select(source => source.ServiceAccountToken).Where(token => token is not null)];
        Assert.Equal(keeps ? [600L] : [], tokens.Select(token => token.ExpirationSeconds));
        Assert.Equal(keeps, pod.ServiceAccountName?.Contains("-pki", StringComparison.Ordinal) == true);
        Assert.All(pod.Containers, CheckContainer);
        if (owner.Value is not V1StatefulSet set)
        {
            return;
        }

        V1Container container = Assert.Single(pod.Containers);
        Assert.NotNull(container.StartupProbe);
        Assert.Equal("/health/live", container.LivenessProbe.HttpGet.Path);
        Assert.Equal("/health/ready", container.ReadinessProbe.HttpGet.Path);
        Assert.True(pod.TerminationGracePeriodSeconds >= 15);
        Assert.True(set.Spec.Selector.MatchLabels.All(label => template.Metadata.Labels[label.Key] == label.Value));
        Assert.Contains(manifests, other => other.Value is V1Service service && other.Name == set.Spec.ServiceName && other.Namespace == owner.Namespace && service.Spec.ClusterIP == "None" && service.Spec.PublishNotReadyAddresses == true);
        Assert.Contains(manifests, other => other.Value is V1ServiceAccount && other.Name == pod.ServiceAccountName && other.Namespace == owner.Namespace);
        Assert.Equal(owner.Labels["app.kubernetes.io/component"] == "node" || set.Spec.Replicas > 1, manifests.Any(other => other.Value is V1PodDisruptionBudget && other.Name == owner.Name && other.Namespace == owner.Namespace));
    }

    private static void CheckContainer(V1Container container)
    {
        Assert.False(container.SecurityContext.AllowPrivilegeEscalation);
        Assert.False(container.SecurityContext.Privileged);
        Assert.True(container.SecurityContext.ReadOnlyRootFilesystem);
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.Null(container.SecurityContext.Capabilities.Add);
        Assert.All(container.Ports ?? [], port => Assert.Null(port.HostPort));
        foreach (IDictionary<string, ResourceQuantity> amounts in new[] { container.Resources.Requests, container.Resources.Limits })
        {
            Assert.Contains("cpu", amounts.Keys);
            Assert.Contains("memory", amounts.Keys);
        }

        Assert.DoesNotContain(":latest", container.Image, StringComparison.Ordinal);
        Assert.All(container.Env ?? [], variable => Assert.DoesNotMatch(SecretName(), variable.Name));
    }

    /// <summary>No object selects or mounts what belongs to another tenant, and no service but the API's leads outside the cluster.</summary>
    private static void CheckReferences(IReadOnlyList<Manifest> manifests)
    {
        foreach (Manifest manifest in manifests)
        {
            switch (manifest.Value)
            {
                case V1Service service:
                    // The API alone may be led out, when its operator says so, and it stands before coordinators.
                    Assert.True(service.Spec.Type is null or "ClusterIP" || (manifest.Name.EndsWith("-api", StringComparison.Ordinal) && service.Spec.Selector["app.kubernetes.io/component"] == "coordinator"));
                    Assert.Equal(TenantOf(manifest.Labels), TenantOf(service.Spec.Selector));
                    Assert.True(TenantOf(manifest.Labels) is not null || service.Spec.Selector["app.kubernetes.io/component"] == "coordinator"); // what has no tenant is the shared coordinator's
                    break;
                case V1StatefulSet set:
                    // Of a shared coordinator each tenant's certificates are mounted apart.
                    string[] tenants = TenantOf(manifest.Labels) is { } only ? [only] : TenantsOf(manifests);
                    Assert.Equal(tenants.Length, set.Spec.Template.Spec.Volumes.Count(IsPki));
                    foreach (string tenant in tenants)
                    {
                        V1Volume pki = set.Spec.Template.Spec.Volumes.Single(volume => volume.Name == (TenantOf(manifest.Labels) is null ? $"pki-{tenant}" : "pki"));
                        IEnumerable<string> secrets = pki.Secret is { } secret ? [secret.SecretName] : pki.Projected.Sources.Select(source => source.Secret.Name);
                        Assert.All(secrets, name => Assert.StartsWith($"lamina-{tenant}-{manifest.Labels["lamina.dev/part"]}-", name, StringComparison.Ordinal));
                        Assert.Equal(0x120, pki.Secret?.DefaultMode ?? pki.Projected.DefaultMode); // 0440: no one but the process' group reads a key
                    }

                    break;
                case Resource<CertificateSpec> { Spec.IsCA: false } certificate:
                    string role = manifest.Labels["app.kubernetes.io/component"];
                    string pod = certificate.Spec.CommonName; // the object's name, but in a coordinator that several tenants share
                    Assert.Contains(manifests, other => other.Value is V1StatefulSet && pod.StartsWith(other.Name + "-", StringComparison.Ordinal) && TenantOf(other.Labels) == (pod == manifest.Name ? manifest.Labels["lamina.dev/tenant"] : null));
                    Assert.Matches($"^spiffe://[a-z.]+/tenant/{manifest.Labels["lamina.dev/tenant"]}/{role}/{pod}$", Assert.Single(certificate.Spec.Uris));
                    Assert.StartsWith($"{pod}.", Assert.Single(certificate.Spec.DnsNames), StringComparison.Ordinal);
                    Assert.Contains(manifests, other => other.Value is V1StatefulSet set && set.Spec.Template.Spec.Volumes.Any(volume => volume.Projected?.Sources.Any(source => source.Secret?.Name == certificate.Spec.SecretName && source.Secret.Items.Any(item => item.Path == pod + ".crt")) == true));
                    Assert.Equal($"lamina-{manifest.Labels["lamina.dev/tenant"]}-root", certificate.Spec.IssuerRef.Name);
                    Assert.Equal(["digital signature", "server auth", "client auth"], certificate.Spec.Usages);
                    break;
                case V1Role leave:
                    // By name, and of one tenant: the roots, and what its pods mount.
                    V1PolicyRule granted = Assert.Single(leave.Rules);
                    Assert.Equal(["secrets"], granted.Resources);
                    Assert.Equal([""], granted.ApiGroups);
                    Assert.Equal(["get", "create", "patch", "update"], granted.Verbs);
                    Assert.Equal(
                        manifests.Where(other => other.Value is V1StatefulSet && other.Namespace == manifest.Namespace && (TenantOf(other.Labels) ?? manifest.Labels["lamina.dev/tenant"]) == manifest.Labels["lamina.dev/tenant"])
                            .Select(other => $"lamina-{manifest.Labels["lamina.dev/tenant"]}-{other.Labels["lamina.dev/part"]}-pki").Append($"lamina-{manifest.Labels["lamina.dev/tenant"]}-root").Order(StringComparer.Ordinal),
                        granted.ResourceNames.Order(StringComparer.Ordinal));
                    break;
                case V1RoleBinding binding:
                    Rbacv1Subject subject = Assert.Single(binding.Subjects);
                    Assert.Equal(("ServiceAccount", manifest.Name, manifest.Namespace), (subject.Kind, subject.Name, subject.NamespaceProperty));
                    Assert.Equal(("Role", manifest.Name), (binding.RoleRef.Kind, binding.RoleRef.Name));
                    Assert.All(new[] { "Role", "ServiceAccount" }, kind => Assert.Contains(manifests, other => other.Kind == kind && other.Name == manifest.Name && other.Namespace == manifest.Namespace && other.Annotation("helm.sh/hook") == manifest.Annotation("helm.sh/hook")));
                    break;
                case V1Job or V1CronJob:
                    CheckKeeper(manifests, manifest);
                    break;
                case V1Ingress ingress:
                    Assert.Equal(ingress.Spec.Rules.Select(rule => rule.Host), Assert.Single(ingress.Spec.Tls).Hosts);
                    string target = Assert.Single(ingress.Spec.Rules.Select(rule => Assert.Single(rule.Http.Paths).Backend.Service.Name).Distinct());
                    CheckRoute(manifests, manifest, target, ingress.Spec.Tls[0].Hosts);
                    break;
                case Resource<HttpRouteSpec> route:
                    BackendReference backend = Assert.Single(Assert.Single(route.Spec.Rules).BackendRefs);
                    V1Service before = CheckRoute(manifests, manifest, backend.Name, route.Spec.Hostnames);
                    Assert.Equal(Assert.Single(before.Spec.Ports).Port, backend.Port);
                    Assert.NotEmpty(route.Spec.ParentRefs);

                    // The way from the Gateway to the Service is encrypted and checked, too.
                    var policy = (Resource<BackendTlsPolicySpec>)manifests.Single(other => other.Kind == "BackendTLSPolicy" && other.Name == manifest.Name && other.Namespace == manifest.Namespace).Value;
                    Assert.Equal(("Service", backend.Name), (Assert.Single(policy.Spec.TargetRefs).Kind, policy.Spec.TargetRefs[0].Name));
                    Assert.Equal(route.Spec.Hostnames[0], policy.Spec.Validation.Hostname);
                    Assert.True(policy.Spec.Validation.CaCertificateRefs is { Count: 1 } ^ policy.Spec.Validation.WellKnownCACertificates == "System");
                    break;
                case V2HorizontalPodAutoscaler scaler:
                    var scaled = (V1StatefulSet)manifests.Single(other => other.Kind == scaler.Spec.ScaleTargetRef.Kind && other.Name == scaler.Spec.ScaleTargetRef.Name && other.Namespace == manifest.Namespace).Value;
                    Assert.Null(scaled.Spec.Replicas); // or each upgrade would undo what the autoscaler did
                    V2MetricIdentifier metric = Assert.Single(scaler.Spec.Metrics).External.Metric;
                    Assert.Equal("lamina_generations_waiting", metric.Name);
                    Assert.Equal(manifest.Labels["lamina.dev/tenant"], metric.Selector.MatchLabels["tenant"]);
                    V1Volume keys = scaled.Spec.Template.Spec.Volumes.Single(volume => volume.Name == "pki");
                    Assert.True(keys.Secret is not null || keys.Projected.Sources.Count == scaler.Spec.MaxReplicas); // a pod that comes finds its certificate
                    break;
                case V1Namespace space:
                    Assert.Equal("restricted", space.Metadata.Labels["pod-security.kubernetes.io/enforce"]);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>What makes certificates makes those that the pods of its tenant mount, for the names by which they are reached.</summary>
    private static void CheckKeeper(IReadOnlyList<Manifest> manifests, Manifest keeper)
    {
        V1PodSpec pod = keeper.PodTemplate!.Spec;
        Assert.Equal("Never", pod.RestartPolicy);
        Assert.Contains(manifests, other => other.Value is V1RoleBinding && other.Name == pod.ServiceAccountName && other.Namespace == keeper.Namespace && other.Annotation("helm.sh/hook") == keeper.Annotation("helm.sh/hook"));
        string[] parts = [.. Assert.Single(pod.Containers).Args.Where(argument => argument.StartsWith("--part=", StringComparison.Ordinal)).Select(argument => argument["--part=".Length..])];
        string tenant = keeper.Labels["lamina.dev/tenant"];
        Manifest[] sets = [.. manifests.Where(other => other.Value is V1StatefulSet && other.Namespace == keeper.Namespace && (TenantOf(other.Labels) ?? tenant) == tenant)];
        Assert.Equal(sets.Length, parts.Length);
        foreach (Manifest set in sets)
        {
            V2HorizontalPodAutoscaler? scaler = manifests.Select(other => other.Value).OfType<V2HorizontalPodAutoscaler>().SingleOrDefault(other => other.Metadata.NamespaceProperty == set.Namespace && other.Spec.ScaleTargetRef.Name == set.Name);
            bool isShared = TenantOf(set.Labels) is null;
            string secret = $"lamina-{tenant}-{set.Labels["lamina.dev/part"]}-pki";
            Assert.Contains($"{set.Labels["app.kubernetes.io/component"]}/{set.Name}={scaler?.Spec.MaxReplicas ?? ((V1StatefulSet)set.Value).Spec.Replicas}{(isShared ? $"/{secret}" : "")}", parts);
            Assert.Equal(secret, ((V1StatefulSet)set.Value).Spec.Template.Spec.Volumes.Single(volume => volume.Name == (isShared ? $"pki-{tenant}" : "pki")).Secret.SecretName);
        }
    }

    private static string? TenantOf(IDictionary<string, string> labels) => labels.TryGetValue("lamina.dev/tenant", out string? tenant) ? tenant : null;

    private static string[] TenantsOf(IReadOnlyList<Manifest> manifests) => [.. manifests.Where(manifest => manifest.Value is V1StatefulSet).Select(manifest => TenantOf(manifest.Labels)).OfType<string>().Distinct()];

    private static bool IsPki(V1Volume volume) => volume.Name.Split('-')[0] == "pki";

    /// <summary>A route leads to its own tenant's exposed API, or the hosts of all to the one that they share.</summary>
    private static V1Service CheckRoute(IReadOnlyList<Manifest> manifests, Manifest route, string service, IEnumerable<string> hosts)
    {
        Manifest found = manifests.Single(other => other.Value is V1Service && other.Name == service && other.Namespace == route.Namespace);
        string? tenant = TenantOf(route.Labels);
        Assert.Equal(tenant, TenantOf(found.Labels));
        Assert.Equal(tenant is null ? "lamina-api" : $"lamina-{tenant}-api", service);
        Assert.Equal((tenant is null ? TenantsOf(manifests) : [tenant]).Select(of => of.Split('-')[0] + ".example").Order(StringComparer.Ordinal), hosts.Order(StringComparer.Ordinal));
        return (V1Service)found.Value;
    }

    [GeneratedRegex(@"(?im)^\s*(password|token|apiKey|secretKey)\s*:\s*\S")]
    private static partial Regex SecretValue();

    [GeneratedRegex("(?i)password|token|secret")]
    private static partial Regex SecretName();
}
