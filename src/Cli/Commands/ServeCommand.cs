using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;
using Lamina.Coordinator;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary>What <c>serve</c> runs, from its options or from the section <c>Serve</c> of a configuration file.</summary>
internal sealed record ServeOptions
{
    /// <summary>Where the HTTP API listens; port 0 picks a free one.</summary>
    public string Listen { get; init; } = "127.0.0.1:8080";

    /// <summary>Node processes.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Compute threads of a node; 0 shares the cores out.</summary>
    public int Threads { get; init; }

    /// <summary>What the nodes compute on: one device for all of them, or one each, separated by commas.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>As in a coordinator's cell; <see cref="Nodes"/> holds for all of them.</summary>
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];

    /// <summary>Tenants side by side instead of <see cref="Models"/>, each with models and nodes of its own.</summary>
    public IReadOnlyList<ServeTenant> Tenants { get; init; } = [];

    /// <summary>As those of a coordinator's cell, for the tenant of <see cref="Models"/>. Without <c>Import</c> these are the caller's own files: parsed in this process and not copied.</summary>
    public TenantQuotas? Quotas { get; init; }
    public StreamOptions? Streams { get; init; }
    public ModelImportOptions? Import { get; init; }

    /// <summary>Folder of the model store and of the database with tenants and keys; without it both go with this run.</summary>
    public string? StorePath { get; init; }

    /// <summary>As those of a coordinator.</summary>
    public bool? RequireKeys { get; init; }
    public TlsOptions? Tls { get; init; }
    public AdminOptions? Admin { get; init; }
    public bool AllowPlainHttp { get; init; }
    public OidcOptions? Oidc { get; init; }
    public SecurityContactOptions? SecurityContact { get; init; }
    public string? Database { get; init; }
    public string? SecretPath { get; init; }
}

/// <summary>One of several tenants that <c>serve</c> runs.</summary>
internal sealed record ServeTenant
{
    /// <summary>The tenant's name.</summary>
    public required TenantId Tenant { get; init; }

    /// <summary>Node processes of its cell.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Compute threads of a node; 0 shares the cores out among all tenants' nodes.</summary>
    public int Threads { get; init; }

    /// <summary>Its models, at least one.</summary>
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];

    /// <summary>As those of a coordinator's cell.</summary>
    public TenantQuotas? Quotas { get; init; }
    public StreamOptions? Streams { get; init; }
    public ModelImportOptions? Import { get; init; }
}

/// <summary><c>lamina serve</c>: coordinator and nodes on this machine, until Ctrl-C.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        Argument<string[]> models = new("MODEL") { Description = "GGUF files; the built-in model when none is given.", Arity = ArgumentArity.ZeroOrMore };
        Option<int> nodes = new("--nodes") { Description = "Node processes.", DefaultValueFactory = _ => 1 };
        Option<string> listen = new("--listen") { Description = "Address and port of the HTTP API.", DefaultValueFactory = _ => "127.0.0.1:8080" };
        Option<int> threads = new("--threads", "-t") { Description = "Compute threads per node; 0 shares the cores out.", DefaultValueFactory = _ => 0 };
        Option<int> context = new("--context", "-c") { Description = "Longest sequence in tokens; 0 = the model's own, at most 8192.", DefaultValueFactory = _ => 0 };
        Option<int> speculate = ModelRunOptions.SpeculateOption();
        Option<string?> draft = ModelRunOptions.DraftOption();
        Option<string> kvType = ModelRunOptions.KvTypeOption();
        Option<string?> device = ModelRunOptions.DeviceOption();
        Option<string?> config = new("--config") { Description = "Configuration file with a section Serve (Listen, Nodes, Threads, Device, Models or Tenants, Quotas, Streams, StorePath, Tls), instead of MODEL and the other options." };
        Command command = new("serve", "Serve models on this machine: API, status page and node processes, until Ctrl-C.") { models, nodes, listen, threads, context, speculate, draft, kvType, device, config };
        command.SetAction(async (parsed, cancellation) =>
        {
            ServeOptions serve = parsed.GetValue(config) is { } file
                ? parsed.GetValue(models) is { Length: > 0 } ? throw new UsageException("give the models either as arguments or by --config, not both") : Configuration.Read<ServeOptions>(file, "Serve")
                : new ServeOptions
                {
                    Listen = parsed.GetValue(listen)!,
                    Nodes = parsed.GetValue(nodes),
                    Threads = parsed.GetValue(threads),
                    Device = parsed.GetValue(device) ?? "cpu",
                    Models = [.. (parsed.GetValue(models) is { Length: > 0 } given ? given : [BuiltInModel.Path]).Select(path => new ModelOptions
                    {
                        Path = path,
                        ContextLength = Bounds.AtLeast(parsed.GetValue(context), 0, "--context"),
                        Draft = parsed.GetValue(draft),
                        DraftTokens = ModelRunOptions.DraftTokens(parsed.GetValue(speculate), parsed.GetValue(draft)),
                        KvCacheType = parsed.GetValue(kvType)!,
                    })],
                };
            using Logging logging = Logging.Open(
                Configuration.Find<LogOptions>(parsed.GetValue(config), "Logging"), LogLevel.Warning, parsed.GetValue(CommandRunner.Verbose), auto: LogFormat.Text);
            using IDisposable? tracing = Tracing.Start(Configuration.Find<TracingOptions>(parsed.GetValue(config), "Tracing"), "coordinator", "serve");
            LoadProgress progress = new(quiet: logging.IsJson);
            await using EmbeddedCell cell = await EmbeddedCell.StartAsync(Embedded(serve, logging.Factory), progress, cancellation);
            if (!logging.IsJson)
            {
                StageTable.Write(Console.Error, cell);
            }

            await ShowKeysAsync(cell, serve, logging, cancellation);
            string admin = cell.AdminAddress is { } address ? $", admin listener at {address}" : "";
            logging.Announce($"API at {cell.HttpAddress}v1, status at {cell.HttpAddress}{admin}; Ctrl-C stops everything");
            await Waiting.UntilCancelled(cancellation);
            return 0;
        });
        return command;
    }

    private static EmbeddedCellOptions Embedded(ServeOptions serve, ILoggerFactory loggers)
    {
        if (serve.Tenants.Count > 0 == serve.Models.Count > 0)
        {
            throw new UsageException("the section Serve needs either Models, with at least one Path, or Tenants that name theirs");
        }

        if (serve.Tenants.Count > 0 && (serve.Quotas is not null || serve.Streams is not null || serve.Import is not null))
        {
            throw new UsageException("Quotas, Streams and Import of the section Serve are those of its Models; beside Tenants each of them has its own");
        }

        if (serve.Tenants.FirstOrDefault(tenant => tenant.Models.Count == 0) is { } empty)
        {
            throw new UsageException($"the tenant {empty.Tenant} of the section Serve names no model; it needs Models with at least one Path");
        }

        return new EmbeddedCellOptions
        {
            Nodes = Bounds.Within(serve.Nodes, 1, 64, "--nodes"),
            Threads = Bounds.Within(serve.Threads, 0, 1024, "--threads"),
            Devices = ModelRunOptions.Devices(serve.Device, serve.Nodes),
            Listen = serve.Listen,
            Models = Resolved(serve.Models, serve.Nodes),
            Tenants = [.. serve.Tenants.Select(tenant => new EmbeddedTenant(
                tenant.Tenant,
                Bounds.Within(tenant.Nodes, 1, 64, $"Nodes of tenant {tenant.Tenant}"),
                Bounds.Within(tenant.Threads, 0, 1024, $"Threads of tenant {tenant.Tenant}"),
                Resolved(tenant.Models, tenant.Nodes)) { Quotas = tenant.Quotas ?? new(), Streams = tenant.Streams ?? new(), Import = tenant.Import ?? new() })],
            Quotas = serve.Quotas ?? new(),
            Streams = serve.Streams ?? new(),
            Import = serve.Import ?? EmbeddedCellOptions.OwnFiles,
            StorePath = serve.StorePath is { } store ? Path.GetFullPath(store) : null,
            RequireKeys = serve.RequireKeys,
            Tls = serve.Tls,
            Admin = serve.Admin,
            AllowPlainHttp = serve.AllowPlainHttp,
            Oidc = serve.Oidc,
            SecurityContact = serve.SecurityContact,
            Database = serve.Database,
            SecretPath = serve.SecretPath,
            Loggers = loggers,
        };
    }

    private static IReadOnlyList<ModelOptions> Resolved(IReadOnlyList<ModelOptions> models, int nodes) =>
        [.. models.Select(model => model with { Path = Resolved(model.Path), Draft = model.Draft is null ? null : Resolved(model.Draft), Nodes = nodes })];

    private static string Resolved(string path) => path.StartsWith(ModelStore.StorePrefix, StringComparison.Ordinal) ? path : Path.GetFullPath(path);

    /// <summary>A database that goes with this run has no keys that anybody could know: it gets one for each tenant.</summary>
    private static async Task ShowKeysAsync(EmbeddedCell cell, ServeOptions serve, Logging logging, CancellationToken cancellation)
    {
        if (cell.Access is not { } access || !cell.NeedsKeys)
        {
            return;
        }

        foreach (TenantId tenant in cell.Cells.Select(cell => cell.Tenant))
        {
            if ((await access.Keys.ListAsync(tenant, cancellation)).Any(key => key.Revoked is null))
            {
                continue;
            }

            if (serve.StorePath is { } store)
            {
                logging.Announce($"tenant {tenant} has no key yet: lamina key create {tenant} --store {store}");
                continue;
            }

            NewKey made = await access.Keys.CreateAsync(tenant, "serve", KeyScopes.Inference | KeyScopes.Usage, null, cancellation);
            logging.Announce($"key of tenant {tenant}, until this process ends: {made.Text}");
        }

        await access.NoticeAsync();
    }
}
