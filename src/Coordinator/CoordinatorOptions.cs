using System.Net;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;

namespace Lamina.Coordinator;

/// <summary>Configuration of a coordinator process, section <c>Coordinator</c> of <c>lamina.json</c>.</summary>
public sealed record CoordinatorOptions
{
    /// <summary>Where the HTTP API listens; port 0 picks a free one.</summary>
    public string Listen { get; init; } = "127.0.0.1:8080";

    /// <summary>Folder of the content-addressed model store.</summary>
    public required string StorePath { get; init; }

    /// <summary>Connection string of a PostgreSQL database for tenants, keys and usage; null = SQLite, <c>state.db</c> in <see cref="StorePath"/>.</summary>
    public string? Database { get; init; }

    /// <summary>File with the secret under which keys are hashed; null = <c>state.key</c> in <see cref="StorePath"/>. Coordinators that share a database share it.</summary>
    public string? SecretPath { get; init; }

    /// <summary>Whether the API asks for keys; null = unless it listens on a loopback address and serves one cell.</summary>
    public bool? RequireKeys { get; init; }

    /// <summary>False: no database; what needs one, such as keys, is refused. For runs that leave nothing behind.</summary>
    public bool KeepState { get; init; } = true;

    /// <summary>HTTPS for the API and the admin listener; null = plain HTTP, which only this machine may reach.</summary>
    public TlsOptions? Tls { get; init; }

    /// <summary>Listener for administration; null = none.</summary>
    public AdminOptions? Admin { get; init; }

    /// <summary>An issuer whose tokens are taken beside keys; null = keys alone.</summary>
    public OidcOptions? Oidc { get; init; }

    /// <summary>What <c>/.well-known/security.txt</c> says; null = the address does not exist.</summary>
    public SecurityContactOptions? SecurityContact { get; init; }

    /// <summary>Answers in plain HTTP on an address that other machines reach, where something in front of it does the encryption.</summary>
    public bool AllowPlainHttp { get; init; }

    /// <summary>Seconds that a coordinator which is asked to end still takes requests, for load balancers that have not noticed yet; connections end with their next answer.</summary>
    public int LingerSeconds { get; init; }

    /// <summary>Seconds that a coordinator which is asked to end waits after that for the generations that run; 0 = it does not wait.</summary>
    public int DrainSeconds { get; init; } = 25;

    /// <summary>What is kept for callers that lost their connection.</summary>
    public ResumptionOptions Resumption { get; init; } = new();

    /// <summary>Bounds of files and batches.</summary>
    public BatchOptions Batches { get; init; } = new();

    /// <summary>One cell per tenant, at least one. A coordinator on a loopback address with one cell needs no API key.</summary>
    public required IReadOnlyList<CellOptions> Cells { get; init; }

    /// <summary>Whether the API asks for keys.</summary>
    public bool NeedsKeys() => RequireKeys ?? (Cells.Count > 1 || !IPAddress.IsLoopback(ListenAddress.Parse(Listen).Address));

    /// <summary>Whether other machines reach the API or the admin listener.</summary>
    internal bool IsOpen() => new[] { Listen, Admin?.Listen }.OfType<string>().Any(listen => !IPAddress.IsLoopback(ListenAddress.Parse(listen).Address));
}

/// <summary>One tenant's cell as this coordinator joins it.</summary>
public sealed record CellOptions
{
    /// <summary>Tenant whose cell it is, as in the certificate.</summary>
    public required TenantId Tenant { get; init; }

    /// <summary>This coordinator's name in the cell, as in its certificate.</summary>
    public required string Name { get; init; }

    /// <summary>PEM files: own certificate, its key, and the cell's trusted roots.</summary>
    public required string CertificatePath { get; init; }
    public required string KeyPath { get; init; }
    public required string TrustBundlePath { get; init; }

    /// <summary>The tenant's root with its key, if this coordinator is to renew the cell's certificates; null = the operator does.</summary>
    public IssuerOptions? Issuer { get; init; }

    /// <summary>Address that the cell's ports bind to; never a wildcard unless <see cref="PublicHost"/> is set.</summary>
    public string BindAddress { get; init; } = "127.0.0.1";

    /// <summary>Host name by which the cell's other members reach this coordinator; the bind address when null.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Ports of the control and of the data connections; 0 picks a free one, for control only when no seeds are named: the coordinator then forms the cell itself.</summary>
    public int ControlPort { get; init; }
    public int LinkPort { get; init; }

    /// <summary>Control endpoints of the cell's coordinators, in the same order everywhere; empty = this one alone.</summary>
    public IReadOnlyList<Endpoint> Seeds { get; init; } = [];

    /// <summary>Which models the cell takes in, by what vouches for them.</summary>
    public ModelImportOptions Import { get; init; } = new();

    /// <summary>How streams are hidden from whoever watches connections.</summary>
    public StreamOptions Streams { get; init; } = new();

    /// <summary>What the tenant and its keys may use, unless an administrator set something else.</summary>
    public Quotas.TenantQuotas Quotas { get; init; } = new();

    /// <summary>Models to deploy at start.</summary>
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];
}

/// <summary>A model to deploy.</summary>
public sealed record ModelOptions
{
    /// <summary>Name that callers use; the file name without extension when null.</summary>
    public string? Name { get; init; }

    /// <summary>GGUF file to import, or <c>store:NAME</c> for a model that <c>lamina model add</c> put into the store.</summary>
    public required string Path { get; init; }

    /// <summary>The SHA-256 that the file, or the model's digest, must have; null takes any.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Nodes the plan waits for before it is made; it may use fewer stages than there are nodes only when <see cref="Stages"/> says so.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Most copies of the model that serve side by side, each on nodes of its own, where nodes are left for them.</summary>
    public int Pipelines { get; init; } = 1;

    /// <summary>Nodes that further copies leave free, for failover.</summary>
    public int Spares { get; init; }

    /// <summary>Explicit layer ranges ("0-7,8-15"), or null to let the planner decide.</summary>
    public string? Stages { get; init; }

    /// <summary>0 = the model's own, at most 8192 unless set.</summary>
    public int ContextLength { get; init; }

    /// <summary>Threads per stage; 0 = the node's default.</summary>
    public int Threads { get; init; }

    /// <summary>GGUF file of a small model with the same vocabulary that guesses ahead (speculative decoding); null = each text's own repetitions do.</summary>
    public string? Draft { get; init; }

    /// <summary>Most tokens a generation guesses ahead, by <see cref="Draft"/> or from its own text, and verifies in one step, with the same answer; 0 = none.</summary>
    public int DraftTokens { get; init; }

    /// <summary>How keys and values are kept: f16, q8_0 (half the memory) or q4_0 (a quarter), at some cost in quality.</summary>
    public string KvCacheType { get; init; } = "f16";

    /// <summary>Lengths that the model was trained to have its embeddings cut to (Matryoshka); other lengths than these and its own are refused.</summary>
    public IReadOnlyList<int> EmbeddingDimensions { get; init; } = [];

    /// <summary>Low-rank adapters that requests may name; every stage holds its part of each.</summary>
    public IReadOnlyList<AdapterOptions> Adapters { get; init; } = [];
}

/// <summary>A tenant's root: either the folder that holds all of them, or the two files of one.</summary>
public sealed record IssuerOptions
{
    /// <summary>Folder of the tenant's roots as <c>lamina pki</c> keeps them (<c>PKI/TENANT/roots</c>); the newest that the trust bundle holds is used.</summary>
    public string? RootsPath { get; init; }

    /// <summary>PEM file of one root's certificate.</summary>
    public string? CertificatePath { get; init; }

    /// <summary>PEM file of its key. Whoever has this file can make certificates of the tenant: it lies on no machine that need not have it.</summary>
    public string? KeyPath { get; init; }
}
