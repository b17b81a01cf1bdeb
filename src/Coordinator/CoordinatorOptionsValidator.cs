using System.Net;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator;

/// <summary>Checks a coordinator's configuration before anything is opened; each refusal names key, value and what is allowed.</summary>
internal static class CoordinatorOptionsValidator
{
    private const string NameRule = "1 to 63 lower-case letters, digits and inner hyphens";
    private const int MaxNodes = 1024;
    private const int MaxContextLength = 1 << 24;
    private const int MaxResumptionSeconds = 86400;
    private const long MinResumptionBytes = 1 << 20;

    /// <summary>Throws <see cref="ArgumentException"/> with one sentence.</summary>
    public static void Validate(CoordinatorOptions options)
    {
        bool open = !IPAddress.IsLoopback(ListenAddress.Parse(options.Listen).Address);
        Require(!string.IsNullOrWhiteSpace(options.StorePath), "Coordinator:StorePath", "", "a folder");
        Require(options.DrainSeconds is >= 0 and <= 3600, "Coordinator:DrainSeconds", options.DrainSeconds, "0 (does not wait) to 3600");
        Require(options.LingerSeconds is >= 0 and <= 600, "Coordinator:LingerSeconds", options.LingerSeconds, "0 (takes nothing new at once) to 600");
        Validate(options.Resumption, "Coordinator:Resumption");
        Validate(options.Batches, "Coordinator:Batches");
        Require(options.Cells is { Count: > 0 }, "Coordinator:Cells", "empty", "at least one cell");
        RequireEncryption(options, options.Listen, "Coordinator:Listen");
        Require(options.RequireKeys != false || (options.Cells.Count == 1 && !open), "Coordinator:RequireKeys", "false", "true: only a loopback address with one cell may answer without keys");
        Require(options.KeepState || !options.NeedsKeys(), "Coordinator:KeepState", "false", "true: keys are kept in the database");
        if (options.Tls is { } tls)
        {
            RequireFile(tls.CertificatePath, "Coordinator:Tls:CertificatePath");
            RequireFile(tls.KeyPath, "Coordinator:Tls:KeyPath");
            Require(tls.ClientRootsPath is null || File.Exists(tls.ClientRootsPath), "Coordinator:Tls:ClientRootsPath", tls.ClientRootsPath, "an existing file");
        }

        if (options.Admin is { } admin)
        {
            RequireEncryption(options, admin.Listen, "Coordinator:Admin:Listen");
            Require(options.KeepState, "Coordinator:KeepState", "false", "true: the admin listener works on the database");
        }

        if (options.Oidc is { } oidc)
        {
            RequireUri(oidc.Authority, "Coordinator:Oidc:Authority", ["https", "http"]);
            Require(oidc.Authority.StartsWith("https:", StringComparison.Ordinal) || new Uri(oidc.Authority).IsLoopback, "Coordinator:Oidc:Authority", oidc.Authority, "an https URI, since whoever answers for it decides who may come in");
            Require(oidc.Audience.Length > 0, "Coordinator:Oidc:Audience", oidc.Audience, "the name by which the issuer calls this installation");
            Require(oidc.TenantClaim.Length > 0 && oidc.ScopeClaim.Length > 0, "Coordinator:Oidc:TenantClaim", oidc.TenantClaim, "the name of a claim, as in ScopeClaim");
            Require(oidc.RootsPath is null || File.Exists(oidc.RootsPath), "Coordinator:Oidc:RootsPath", oidc.RootsPath, "an existing file");
            Require(options.KeepState, "Coordinator:KeepState", "false", "true: tokens are held against the tenants of the database");
        }

        if (options.SecurityContact is { } contact)
        {
            RequireUri(contact.Contact, "Coordinator:SecurityContact:Contact", ["mailto", "tel", "https"]);
            RequireUri(contact.Policy ?? "https://example.org", "Coordinator:SecurityContact:Policy", ["https"]);
        }

        var tenants = new HashSet<TenantId>();
        for (int i = 0; i < options.Cells.Count; i++)
        {
            Require(tenants.Add(options.Cells[i].Tenant), $"Coordinator:Cells:{i}:Tenant", options.Cells[i].Tenant.Value, "a tenant that no other cell has");
            Validate(options.Cells[i], $"Coordinator:Cells:{i}");
        }
    }

    private static void RequireEncryption(CoordinatorOptions options, string listen, string key) => Require(
        options.AllowPlainHttp || options.Tls is not null || IPAddress.IsLoopback(ListenAddress.Parse(listen, key).Address),
        key,
        listen,
        "127.0.0.1 or [::1], or Coordinator:Tls with a certificate: other machines can reach this address, and plain HTTP would show them keys and prompts (Coordinator:AllowPlainHttp allows it behind something that encrypts)");

    private static void RequireUri(string text, string key, string[] schemes) => Require(
        Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && schemes.Contains(uri.Scheme) && !text.Any(char.IsControl), key, text, $"a URI with scheme {string.Join(" or ", schemes)}");

    private static void Validate(ResumptionOptions resumption, string key)
    {
        Require(resumption.RetentionSeconds is >= 0 and <= MaxResumptionSeconds, $"{key}:RetentionSeconds", resumption.RetentionSeconds, $"0 to {MaxResumptionSeconds}");
        Require(resumption.GraceSeconds is >= 1 and <= MaxResumptionSeconds, $"{key}:GraceSeconds", resumption.GraceSeconds, $"1 to {MaxResumptionSeconds}");
        Require(resumption.ReadAheadEvents is >= 1 and <= 1 << 20, $"{key}:ReadAheadEvents", resumption.ReadAheadEvents, $"1 to {1 << 20}");
        Require(resumption.BytesPerTenant >= MinResumptionBytes, $"{key}:BytesPerTenant", resumption.BytesPerTenant, $"at least {MinResumptionBytes}");
    }

    private static void Validate(BatchOptions batches, string key)
    {
        Require(batches.InFlight is >= 1 and <= 256, $"{key}:InFlight", batches.InFlight, "1 to 256");
        Require(batches.MaxRequests is >= 1 and <= 1_000_000, $"{key}:MaxRequests", batches.MaxRequests, "1 to 1000000");
        Require(batches.MaxOpen is >= 1 and <= 1024, $"{key}:MaxOpen", batches.MaxOpen, "1 to 1024");
        Require(batches.MaxFileBytes is >= 1 << 10 and <= 1L << 32, $"{key}:MaxFileBytes", batches.MaxFileBytes, $"1024 to {1L << 32}");
        Require(batches.BytesPerTenant >= batches.MaxFileBytes, $"{key}:BytesPerTenant", batches.BytesPerTenant, $"at least MaxFileBytes, {batches.MaxFileBytes}");
        Require(batches.MaxFiles is >= 1 and <= 1_000_000, $"{key}:MaxFiles", batches.MaxFiles, "1 to 1000000");
        Require(batches.RetentionDays is >= 1 and <= 3650, $"{key}:RetentionDays", batches.RetentionDays, "1 to 3650");
    }

    private static void Validate(CellOptions cell, string key)
    {
        Require(Names.IsValid(cell.Tenant.Value), $"{key}:Tenant", cell.Tenant.Value, NameRule);
        Require(Names.IsValid(cell.Name), $"{key}:Name", cell.Name, NameRule);
        RequireFile(cell.CertificatePath, $"{key}:CertificatePath");
        RequireFile(cell.KeyPath, $"{key}:KeyPath");
        RequireFile(cell.TrustBundlePath, $"{key}:TrustBundlePath");
        if (cell.Issuer is { } issuer)
        {
            bool folder = issuer.RootsPath is not null, pair = issuer.CertificatePath is not null && issuer.KeyPath is not null;
            Require(folder != pair, $"{key}:Issuer", issuer.RootsPath ?? issuer.CertificatePath, "either RootsPath, or CertificatePath and KeyPath");
            if (folder)
            {
                Require(Directory.Exists(issuer.RootsPath), $"{key}:Issuer:RootsPath", issuer.RootsPath, "an existing folder");
            }
            else if (pair)
            {
                RequireFile(issuer.CertificatePath!, $"{key}:Issuer:CertificatePath");
                RequireFile(issuer.KeyPath!, $"{key}:Issuer:KeyPath");
            }
        }

        RequirePort(cell.ControlPort, $"{key}:ControlPort");
        RequirePort(cell.LinkPort, $"{key}:LinkPort");
        Validate(cell.Import, $"{key}:Import");
        Require(cell.Streams.PadToBytes is >= 0 and <= 16384, $"{key}:Streams:PadToBytes", cell.Streams.PadToBytes, "0 to 16384");
        Require(cell.Streams.IntervalMilliseconds is >= 0 and <= 1000, $"{key}:Streams:IntervalMilliseconds", cell.Streams.IntervalMilliseconds, "0 to 1000");
        Require(cell.Streams.StallSeconds is >= 1 and <= 3600, $"{key}:Streams:StallSeconds", cell.Streams.StallSeconds, "1 to 3600");
        ValidateQuotas(cell.Quotas, $"{key}:Quotas");
        var names = new HashSet<DeploymentId>();
        for (int i = 0; i < cell.Models.Count; i++)
        {
            ModelOptions model = cell.Models[i];
            Validate(model, $"{key}:Models:{i}", alone: cell.Seeds.Count <= 1);
            Require(names.Add(ModelNames.Of(model)), $"{key}:Models:{i}:Name", ModelNames.Of(model).Value, "a name that no other model of the cell has");
        }
    }

    private static void Validate(ModelImportOptions import, string key)
    {
        Require(Enum.IsDefined(import.LeastTrust), $"{key}:LeastTrust", import.LeastTrust, "Untrusted, Verified or Trusted");
        Require(import.MaxBytes > 0, $"{key}:MaxBytes", import.MaxBytes, "at least 1");
        for (int i = 0; i < import.SigningKeys.Count; i++)
        {
            RequireFile(import.SigningKeys[i], $"{key}:SigningKeys:{i}");
        }
    }

    /// <param name="alone">Whether the cell has no other coordinator, which could have the file instead.</param>
    private static void Validate(ModelOptions model, string key, bool alone)
    {
        if (alone && !model.Path.StartsWith(Models.ModelStore.StorePrefix, StringComparison.Ordinal))
        {
            RequireFile(model.Path, $"{key}:Path");
        }

        Require(model.Sha256 is null || (model.Sha256.Length == 64 && model.Sha256.All(char.IsAsciiHexDigitLower)), $"{key}:Sha256", model.Sha256, "64 lower-case hexadecimal digits");
        Require(model.Name is null || Names.IsValidModel(model.Name), $"{key}:Name", model.Name, "1 to 128 letters, digits, dots, underscores and inner hyphens");
        Require(model.Nodes is >= 1 and <= MaxNodes, $"{key}:Nodes", model.Nodes, $"1 to {MaxNodes}");
        Require(model.Pipelines is >= 1 and <= 64, $"{key}:Pipelines", model.Pipelines, "1 to 64");
        Require(model.Spares is >= 0 and <= MaxNodes, $"{key}:Spares", model.Spares, $"0 to {MaxNodes}");
        Require(model.ContextLength is >= 0 and <= MaxContextLength, $"{key}:ContextLength", model.ContextLength, $"0 to {MaxContextLength}");
        Require(model.Threads is >= 0 and <= 1024, $"{key}:Threads", model.Threads, "0 to 1024");
        Require(model.Draft is null || model.DraftTokens > 0, $"{key}:DraftTokens", model.DraftTokens, "1 to 64 beside a Draft");
        if (model.Draft is not null)
        {
            RequireFile(model.Draft, $"{key}:Draft");
        }

        Require(model.DraftTokens is >= 0 and <= 64, $"{key}:DraftTokens", model.DraftTokens, "0 to 64");
        Require(KvCacheTypes.IsKnown(model.KvCacheType), $"{key}:KvCacheType", model.KvCacheType, KvCacheTypes.Allowed);
        Require(model.EmbeddingDimensions.All(length => length >= 1), $"{key}:EmbeddingDimensions", string.Join(", ", model.EmbeddingDimensions), "lengths of at least 1");
        var adapters = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < model.Adapters.Count; i++)
        {
            AdapterOptions adapter = model.Adapters[i];
            Require(Names.IsValidModel(adapter.Name) && adapters.Add(adapter.Name), $"{key}:Adapters:{i}:Name", adapter.Name, "1 to 128 letters, digits, dots, underscores and inner hyphens, and no other adapter's name");
            RequireFile(adapter.Path, $"{key}:Adapters:{i}:Path");
        }

        if (model.Stages is not null)
        {
            try
            {
                _ = StageRanges.Parse(model.Stages);
            }
            catch (FormatException e)
            {
                throw new ArgumentException($"{key}:Stages is '{model.Stages}': {e.Message}", e);
            }
        }
    }

    private static void ValidateQuotas(Quotas.TenantQuotas quotas, string key)
    {
        foreach ((string name, Quotas.QuotaRules rules) in quotas.Keys.Select(pair => ($"Keys:{pair.Key}", pair.Value)).Prepend(("EachKey", quotas.EachKey)).Prepend(("Tenant", quotas.Tenant)))
        {
            if (rules.Problem() is { } problem)
            {
                throw new ArgumentException($"{key}:{name}:{problem}");
            }
        }
    }

    private static void RequirePort(int port, string key) => Require(port is >= 0 and <= ushort.MaxValue, key, port, "0 (any free port) to 65535");

    private static void RequireFile(string path, string key) => Require(File.Exists(path), key, path, "an existing file");

    private static void Require(bool condition, string key, object? value, string allowed)
    {
        if (!condition)
        {
            throw new ArgumentException($"{key} is '{value}', expected {allowed}");
        }
    }
}
