namespace Lamina.Deploy.Tests.Support;

// The fields of cert-manager's, the Prometheus operator's and the Gateway API's resources that the chart uses; a field that is not here fails the strict reading.

internal sealed class Resource<TSpec>
    where TSpec : new()
{
    public string ApiVersion { get; set; } = "";
    public string Kind { get; set; } = "";
    public ResourceMetadata Metadata { get; set; } = new();
    public TSpec Spec { get; set; } = new();
}

internal sealed class ResourceMetadata
{
    public string Name { get; set; } = "";
    public string Namespace { get; set; } = "";
    public Dictionary<string, string> Labels { get; set; } = [];
}

internal sealed class IssuerSpec
{
    public Dictionary<string, string>? SelfSigned { get; set; }
    public AuthoritySecret? Ca { get; set; }
}

internal sealed class AuthoritySecret
{
    public string SecretName { get; set; } = "";
}

internal sealed class CertificateSpec
{
    public bool IsCA { get; set; }
    public string CommonName { get; set; } = "";
    public string SecretName { get; set; } = "";
    public string Duration { get; set; } = "";
    public string? RenewBefore { get; set; }
    public PrivateKey PrivateKey { get; set; } = new();
    public List<string> Usages { get; set; } = [];
    public List<string> DnsNames { get; set; } = [];
    public List<string> Uris { get; set; } = [];
    public IssuerReference IssuerRef { get; set; } = new();
}

internal sealed class PrivateKey
{
    public string Algorithm { get; set; } = "";
    public int Size { get; set; }
    public string? Encoding { get; set; }
    public string? RotationPolicy { get; set; }
}

internal sealed class IssuerReference
{
    public string Name { get; set; } = "";
    public string Kind { get; set; } = "";
    public string Group { get; set; } = "";
}

internal sealed class ServiceMonitorSpec
{
    public LabelSelector Selector { get; set; } = new();
    public List<ScrapeEndpoint> Endpoints { get; set; } = [];
}

internal sealed class LabelSelector
{
    public Dictionary<string, string> MatchLabels { get; set; } = [];
}

internal sealed class ScrapeEndpoint
{
    public string Port { get; set; } = "";
    public string Path { get; set; } = "";
    public string Interval { get; set; } = "";
}

internal sealed class PrometheusRuleSpec
{
    public List<RuleGroup> Groups { get; set; } = [];
}

internal sealed class RuleGroup
{
    public string Name { get; set; } = "";
    public List<AlertRule> Rules { get; set; } = [];
}

internal sealed class AlertRule
{
    public string Alert { get; set; } = "";
    public string Expr { get; set; } = "";
    public string For { get; set; } = "";
    public Dictionary<string, string> Labels { get; set; } = [];
    public Dictionary<string, string> Annotations { get; set; } = [];
}

internal sealed class HttpRouteSpec
{
    public List<ParentReference> ParentRefs { get; set; } = [];
    public List<string> Hostnames { get; set; } = [];
    public List<HttpRouteRule> Rules { get; set; } = [];
}

internal sealed class ParentReference
{
    public string? Group { get; set; }
    public string? Kind { get; set; }
    public string? Namespace { get; set; }
    public string Name { get; set; } = "";
    public string? SectionName { get; set; }
    public int? Port { get; set; }
}

internal sealed class HttpRouteRule
{
    public List<BackendReference> BackendRefs { get; set; } = [];
    public Dictionary<string, string> Timeouts { get; set; } = [];
}

internal sealed class BackendReference
{
    public string Name { get; set; } = "";
    public int Port { get; set; }
}

internal sealed class BackendTlsPolicySpec
{
    public List<LocalReference> TargetRefs { get; set; } = [];
    public BackendValidation Validation { get; set; } = new();
}

internal sealed class LocalReference
{
    public string Group { get; set; } = "";
    public string Kind { get; set; } = "";
    public string Name { get; set; } = "";
}

internal sealed class BackendValidation
{
    public string Hostname { get; set; } = "";
    public List<LocalReference>? CaCertificateRefs { get; set; }
    public string? WellKnownCACertificates { get; set; }
}
