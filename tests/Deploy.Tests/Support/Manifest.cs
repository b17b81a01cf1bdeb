using k8s;
using k8s.Models;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Lamina.Deploy.Tests.Support;

/// <summary>One rendered object, deserialised strictly: an unknown field fails.</summary>
internal sealed record Manifest(string Kind, string Name, string? Namespace, IDictionary<string, string> Labels, object Value, string Text)
{
    private static readonly Dictionary<string, Func<string, object>> s_kinds = new()
    {
        ["v1/Namespace"] = Model<V1Namespace>,
        ["v1/Service"] = Model<V1Service>,
        ["v1/ServiceAccount"] = Model<V1ServiceAccount>,
        ["v1/ConfigMap"] = Model<V1ConfigMap>,
        ["v1/Pod"] = Model<V1Pod>,
        ["apps/v1/StatefulSet"] = Model<V1StatefulSet>,
        ["batch/v1/Job"] = Model<V1Job>,
        ["batch/v1/CronJob"] = Model<V1CronJob>,
        ["rbac.authorization.k8s.io/v1/Role"] = Model<V1Role>,
        ["rbac.authorization.k8s.io/v1/RoleBinding"] = Model<V1RoleBinding>,
        ["policy/v1/PodDisruptionBudget"] = Model<V1PodDisruptionBudget>,
        ["networking.k8s.io/v1/NetworkPolicy"] = Model<V1NetworkPolicy>,
        ["networking.k8s.io/v1/Ingress"] = Model<V1Ingress>,
        ["autoscaling/v2/HorizontalPodAutoscaler"] = Model<V2HorizontalPodAutoscaler>,
        ["gateway.networking.k8s.io/v1/HTTPRoute"] = Custom<Resource<HttpRouteSpec>>,
        ["gateway.networking.k8s.io/v1/BackendTLSPolicy"] = Custom<Resource<BackendTlsPolicySpec>>,
        ["cert-manager.io/v1/Issuer"] = Custom<Resource<IssuerSpec>>,
        ["cert-manager.io/v1/Certificate"] = Custom<Resource<CertificateSpec>>,
        ["monitoring.coreos.com/v1/ServiceMonitor"] = Custom<Resource<ServiceMonitorSpec>>,
        ["monitoring.coreos.com/v1/PrometheusRule"] = Custom<Resource<PrometheusRuleSpec>>,
    };

    public V1PodTemplateSpec? PodTemplate => Value switch
    {
        V1StatefulSet set => set.Spec.Template,
        V1Job job => job.Spec.Template,
        V1CronJob job => job.Spec.JobTemplate.Spec.Template,
        V1Pod pod => new V1PodTemplateSpec { Metadata = pod.Metadata, Spec = pod.Spec },
        _ => null,
    };

    public string? Annotation(string name) => Value is IKubernetesObject<V1ObjectMeta> { Metadata.Annotations: { } annotations } && annotations.TryGetValue(name, out string? value) ? value : null;

    /// <summary>Reads what Helm prints: documents between lines of three hyphens, some of comments alone.</summary>
    public static IReadOnlyList<Manifest> ReadAll(string stream) =>
        [.. ("\n" + stream).Split("\n---\n").Where(text => text.Split('\n').Any(line => line.Length > 0 && line[0] != '#')).Select(Read)];

    public static Manifest Read(string text)
    {
        Header header = new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).IgnoreUnmatchedProperties().Build().Deserialize<Header>(text);
        Assert.True(s_kinds.TryGetValue($"{header.ApiVersion}/{header.Kind}", out Func<string, object>? read), $"no model for {header.ApiVersion}/{header.Kind}");
        return new Manifest(header.Kind, header.Metadata.Name, header.Metadata.Namespace, header.Metadata.Labels, read(text), text);
    }

    private static object Model<T>(string text)
        where T : notnull => KubernetesYaml.Deserialize<T>(text, strict: true);

    private static object Custom<T>(string text)
        where T : notnull => new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).WithDuplicateKeyChecking().Build().Deserialize<T>(text);

    private sealed class Header
    {
        public string ApiVersion { get; set; } = "";
        public string Kind { get; set; } = "";
        public HeaderMetadata Metadata { get; set; } = new();
    }

    private sealed class HeaderMetadata
    {
        public string Name { get; set; } = "";
        public string? Namespace { get; set; }
        public Dictionary<string, string> Labels { get; set; } = [];
    }
}
