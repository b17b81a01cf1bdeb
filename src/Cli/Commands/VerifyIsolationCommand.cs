using System.CommandLine;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cli.Health;
using Lamina.Cli.Isolation;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Coordinator;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Cells;
using Lamina.Node;
using CoordinatorCell = Lamina.Coordinator.CellOptions;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina verify-isolation</c>: tries, from inside each cell, every way into another against an installation that runs.</summary>
internal static class VerifyIsolationCommand
{
    private const int UnprovenExitCode = 3;

    private sealed record Options(Option<string?> Config, Option<string[]> Certificate, Option<string[]> Targets, Option<string?> Api, Option<string?> Authority, Option<string[]> Keys, Option<bool> MayBeUnreachable);

    public static Command Create()
    {
        Option<string?> config = new("--config") { Description = "Configuration of the coordinator that runs (section Coordinator): its cells are tried from within." };
        Option<string[]> certificate = new("--identity") { Description = "Folder with tls.crt, tls.key and ca.crt of a member to try from, or FOLDER/NAME for NAME.crt, NAME.key and ca.crt; instead of --config, repeat for several cells.", AllowMultipleArgumentsPerToken = true };
        Option<string[]> targets = new("--target") { Description = "A further port: TENANT/control=HOST:PORT or TENANT/link=HOST:PORT; repeat for several.", AllowMultipleArgumentsPerToken = true };
        Option<string?> api = new("--api") { Description = "Address of the HTTP API; from the configuration when not given." };
        Option<string?> authority = new("--authority") { Description = "PEM file of the authority of the API's certificate." };
        Option<string[]> keys = new("--key") { Description = "API key of a tenant in a file, TENANT=FILE; repeat for several.", AllowMultipleArgumentsPerToken = true };
        Option<bool> unreachable = new("--allow-unreachable") { Description = "A port of another tenant that cannot be reached holds, because network policies are to keep it so; otherwise it could not be tried, and the report fails." };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("verify-isolation", "Try every crossing between tenants against a running installation; one line each, exit code 1 when one succeeds, 3 when something that was named could not be tried.") { config, certificate, targets, api, authority, keys, unreachable, json };
        var options = new Options(config, certificate, targets, api, authority, keys, unreachable);
        command.SetAction(async (parsed, cancellation) =>
        {
            IReadOnlyList<Crossing> found = await TryAllAsync(parsed, options, cancellation);
            if (parsed.GetValue(json))
            {
                Console.Out.WriteLine(Crossing.ToJson(found));
            }
            else
            {
                foreach (Crossing crossing in found)
                {
                    Console.Out.WriteLine(crossing);
                }

                Console.Out.WriteLine($"\n{found.Count(c => c.Result == Crossing.HeldResult)} crossings held, {found.Count(c => c.Result == Crossing.NotTriedResult)} not tried ({found.Count(c => c.IsUnproven)} of them although they were named), {found.Count(c => c.Result == Crossing.CrossedResult)} succeeded");
            }

            return found.Any(crossing => crossing.Result == Crossing.CrossedResult) ? 1
                : found.Any(crossing => crossing.IsUnproven) ? UnprovenExitCode
                : Crossing.IsIsolated(found) ? 0
                : throw new CommandException("no crossing could be tried, so nothing is shown");
        });
        return command;
    }

    private static async Task<IReadOnlyList<Crossing>> TryAllAsync(ParseResult parsed, Options options, CancellationToken cancellation)
    {
        string[] identities = parsed.GetValue(options.Certificate) ?? [];
        string? configured = parsed.GetValue(options.Config);

        // From a caller's machine there is nothing but the API's address and keys.
        CoordinatorOptions? coordinator = identities.Length > 0 ? null
            : configured is null && parsed.GetValue(options.Api) is not null ? Configuration.Find<CoordinatorOptions>(null, "Coordinator")
            : Configuration.Read<CoordinatorOptions>(configured, "Coordinator");
        Dictionary<string, string> keys = (parsed.GetValue(options.Keys) ?? []).Select(given => Divide(given, "--key", "TENANT=FILE")).ToDictionary(pair => pair.Left, pair => File.ReadAllText(pair.Right).Trim());
        List<(TenantId Tenant, Port Port)> targets = [.. (parsed.GetValue(options.Targets) ?? []).Select(Target)];
        List<Insider> cells = coordinator is null ? [.. identities.Select(Member)] : [.. coordinator.Cells.Select(Of)];
        cells.AddRange(targets.Select(target => target.Tenant).Concat(keys.Keys.Select(tenant => Names.IsValid(tenant) ? new TenantId(tenant) : throw new UsageException($"--key names '{tenant}', which is no tenant's id"))).Distinct().Where(tenant => cells.All(cell => cell.Tenant != tenant)).Select(tenant => new Insider(tenant, null, [], [], null)).ToArray());
        cells = [.. cells.Select(cell => cell with
        {
            Ports = [.. cell.Ports, .. targets.Where(target => target.Tenant == cell.Tenant).Select(target => target.Port)],
            Key = keys.GetValueOrDefault(cell.Name),
        })];

        Uri? api = parsed.GetValue(options.Api) is { } given ? new Uri(given.TrimEnd('/') + "/") : coordinator is null ? null : AddressOf(coordinator);
        using HttpClient http = NewClient(parsed.GetValue(options.Authority));
        List<Crossing> found = [.. await PortCrossings.TryAllAsync(cells, parsed.GetValue(options.MayBeUnreachable), cancellation)];
        if (coordinator is not null || api is not null)
        {
            found.AddRange(await ApiCrossings.TryAllAsync(api, http, cells, coordinator?.NeedsKeys() ?? true, cancellation));
        }

        if (coordinator is { Admin: { } admin } && AddressOf(admin.Listen, "Coordinator:Admin:Listen", coordinator.Tls is not null) is { } administration)
        {
            found.AddRange(await ApiCrossings.TryAdminAsync(administration, http, cells, cancellation));
        }

        if (coordinator is not null && Configuration.Find<HealthOptions>(configured, "Health")?.Endpoint() is { Port: > 0 } health)
        {
            found.AddRange(await ApiCrossings.TryHealthAsync(AddressOf(health, isHttps: false), http, cancellation));
        }

        NodeOptions? node = coordinator is null ? null : Configuration.Find<NodeOptions>(configured, "Node");
        found.AddRange(FileCrossings.TryAll(cells, [.. coordinator is null ? [] : Stores(coordinator), .. node is null ? [] : new[] { (node.Tenant.Value, node.CachePath) }]));
        return found;
    }

    private static Insider Of(CoordinatorCell cell)
    {
        string host = cell.PublicHost ?? (cell.BindAddress is "0.0.0.0" ? "127.0.0.1" : cell.BindAddress is "::" ? "::1" : cell.BindAddress);
        var ports = new List<Port>();
        if (cell.ControlPort > 0)
        {
            ports.Add(new Port(PortKind.Control, new Endpoint(host, cell.ControlPort)));
        }

        if (cell.LinkPort > 0)
        {
            ports.Add(new Port(PortKind.Link, new Endpoint(host, cell.LinkPort)));
        }

        ports.AddRange(cell.Seeds.Select(seed => new Port(PortKind.Control, seed)).Where(port => !ports.Contains(port)).ToArray());
        return new Insider(cell.Tenant, new CertificateFiles(cell.CertificatePath, cell.KeyPath, cell.TrustBundlePath), ports, [.. cell.Models.Select(model => ModelNames.Of(model).Value)], null);
    }

    private static Insider Member(string folder)
    {
        string home = Path.GetDirectoryName(Path.GetFullPath(folder))!;
        CertificateFiles files = Directory.Exists(folder) ? CertificateFiles.In(folder) : new CertificateFiles(folder + ".crt", folder + ".key", Path.Combine(home, "ca.crt"));
        using ShownCertificate shown = ShownCertificate.Of(files);
        return new Insider(shown.Identity.Tenant, files, [], [], null);
    }

    private static (TenantId, Port) Target(string text)
    {
        (string left, string right) = Divide(text, "--target", "TENANT/control=HOST:PORT");
        string[] parts = left.Split('/');
        return parts is [{ } tenant, "control" or "link"] && Names.IsValid(tenant)
            ? (new TenantId(tenant), new Port(parts[1] == "link" ? PortKind.Link : PortKind.Control, Endpoint.Parse(right)))
            : throw new UsageException($"--target is '{text}', expected TENANT/control=HOST:PORT or TENANT/link=HOST:PORT");
    }

    private static (string Left, string Right) Divide(string text, string option, string expected) =>
        text.IndexOf('=', StringComparison.Ordinal) is var at && at > 0 ? (text[..at], text[(at + 1)..]) : throw new UsageException($"{option} is '{text}', expected {expected}");

    private static Uri? AddressOf(CoordinatorOptions options) => AddressOf(options.Listen, "Coordinator:Listen", options.Tls is not null);

    private static Uri? AddressOf(string listen, string key, bool isHttps) => ListenAddress.Parse(listen, key) is { Port: > 0 } at ? AddressOf(at, isHttps) : null;

    /// <summary>As this machine reaches it.</summary>
    private static Uri AddressOf(IPEndPoint listen, bool isHttps)
    {
        IPAddress address = listen.Address.Equals(IPAddress.Any) ? IPAddress.Loopback : listen.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : listen.Address;
        return new Uri($"{(isHttps ? "https" : "http")}://{new IPEndPoint(address, listen.Port)}/");
    }

    private static List<(string, string)> Stores(CoordinatorOptions options)
    {
        List<(string, string)> stores = [.. options.Cells.Select(cell => (cell.Tenant.Value, Path.Combine(options.StorePath, cell.Tenant.Value)))];
        if (options.NeedsKeys())
        {
            stores.Add(("the API", options.SecretPath ?? Path.Combine(options.StorePath, "state.key")));
        }

        if (options.KeepState)
        {
            stores.Add(("the audit log", Path.Combine(options.StorePath, "audit")));
            string usage = Path.Combine(options.StorePath, "usage");
            stores.AddRange((Directory.Exists(usage) ? Directory.GetFiles(usage) : [usage]).Select(file => ("the ledger", file)));
            stores.AddRange((options.Database is null && Directory.Exists(options.StorePath) ? Directory.GetFiles(options.StorePath, "state.db*") : []).Select(file => ("the database", file)));
        }

        return stores;
    }

    private static HttpClient NewClient(string? authority)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(5) };
        if (authority is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(authority);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(60) };
    }
}
