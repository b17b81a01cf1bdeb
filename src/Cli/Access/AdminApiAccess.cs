using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Quotas;

namespace Lamina.Cli.Access;

/// <summary>Asks a running coordinator's admin listener, with a key that has the scope admin.</summary>
internal sealed class AdminApiAccess : IAccessAdmin
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http;

    /// <param name="roots">PEM file of roots that the server's certificate must end in; null = those of the machine.</param>
    public AdminApiAccess(Uri address, string key, string? roots)
    {
        _http = new HttpClient(Handler(roots)) { BaseAddress = address, Timeout = s_deadline };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public async Task<IReadOnlyList<Tenant>> ListTenantsAsync(CancellationToken cancellation) =>
        [.. (await SendAsync(HttpMethod.Get, "admin/tenants", null, cancellation))["data"]!.AsArray().Select(tenant => TenantOf(tenant!))];

    public async Task<Tenant> AddTenantAsync(TenantId tenant, CancellationToken cancellation) =>
        TenantOf(await SendAsync(HttpMethod.Post, "admin/tenants", new JsonObject { ["id"] = tenant.Value }, cancellation));

    public async Task<Tenant> RemoveTenantAsync(TenantId tenant, CancellationToken cancellation) =>
        TenantOf(await SendAsync(HttpMethod.Delete, $"admin/tenants/{Escape(tenant.Value)}", null, cancellation));

    public async Task<IReadOnlyList<ApiKey>> ListKeysAsync(TenantId? tenant, CancellationToken cancellation)
    {
        string query = tenant is { } owner ? $"?tenant={Escape(owner.Value)}" : "";
        return [.. (await SendAsync(HttpMethod.Get, "admin/keys" + query, null, cancellation))["data"]!.AsArray().Select(key => KeyOf(key!))];
    }

    public async Task<NewKey> CreateKeyAsync(TenantId? tenant, string name, KeyScopes scopes, TimeSpan? lifetime, CancellationToken cancellation) => NewKeyOf(await SendAsync(
        HttpMethod.Post,
        "admin/keys",
        new JsonObject
        {
            ["tenant"] = tenant?.Value,
            ["name"] = name,
            ["scopes"] = new JsonArray([.. KeyScopeNames.Format(scopes).Split(',').Select(scope => (JsonNode)scope)]),
            ["expires_in_seconds"] = lifetime is { } length ? (long)length.TotalSeconds : null,
        },
        cancellation));

    public async Task<NewKey> RotateKeyAsync(string key, TimeSpan overlap, CancellationToken cancellation) =>
        NewKeyOf(await SendAsync(HttpMethod.Post, $"admin/keys/{Escape(key)}/rotate", new JsonObject { ["overlap_seconds"] = (long)overlap.TotalSeconds }, cancellation));

    public async Task<ApiKey> RevokeKeyAsync(string key, CancellationToken cancellation) =>
        KeyOf(await SendAsync(HttpMethod.Post, $"admin/keys/{Escape(key)}/revoke", null, cancellation));

    public async Task<string?> SuspendAsync(Suspension suspension, bool preview, CancellationToken cancellation)
    {
        string kind = suspension.Kind.ToString().ToLowerInvariant();
        JsonNode json = preview
            ? await SendAsync(HttpMethod.Get, $"admin/suspensions/preview?kind={kind}&name={Escape(suspension.Name)}&tenant={Escape(suspension.Tenant?.Value ?? "")}", null, cancellation)
            : await SendAsync(
                HttpMethod.Post, "admin/suspensions",
                new JsonObject { ["kind"] = kind, ["name"] = suspension.Name, ["tenant"] = suspension.Tenant?.Value, ["reason"] = suspension.Reason }, cancellation);
        JsonNode affected = json["affected"]!;
        string unknown = json["known"]?.GetValue<bool>() == false ? $"; this coordinator knows no such {kind} at the moment" : "";
        string Names(string what) => affected[what]!.AsArray() is { Count: > 0 } names ? $", {what} {string.Join(' ', names.Select(name => name!.GetValue<string>()))}" : "";
        return $"{affected["answers"]!.GetValue<int>()} answers under way{Names("tenants")}{Names("keys")}{Names("models")}{unknown}";
    }

    public Task LiftAsync(SuspensionKind kind, string name, TenantId? tenant, CancellationToken cancellation) => SendAsync(
        HttpMethod.Delete, $"admin/suspensions/{kind.ToString().ToLowerInvariant()}/{Escape(name)}?tenant={Escape(tenant?.Value ?? "")}", null, cancellation);

    public async Task<IReadOnlyList<Suspension>> ListSuspensionsAsync(CancellationToken cancellation) =>
    [
        .. (await SendAsync(HttpMethod.Get, "admin/suspensions", null, cancellation))["data"]!.AsArray().Select(one => new Suspension(
            Enum.Parse<SuspensionKind>(Text(one!, "kind")!, ignoreCase: true), Text(one!, "name")!, Text(one!, "tenant") is { } tenant ? new TenantId(tenant) : null, Text(one!, "reason") ?? "",
            Time(one!, "since")!.Value, Text(one!, "by") == "tenant" ? SuspendedBy.Tenant : SuspendedBy.Operator)),
    ];

    public async Task<string> ReadQuotasAsync(TenantId tenant, CancellationToken cancellation) =>
        (await SendAsync(HttpMethod.Get, $"admin/tenants/{Escape(tenant.Value)}/quotas", null, cancellation)).ToJsonString();

    public Task SetQuotasAsync(TenantId tenant, string key, QuotaRules? rules, CancellationToken cancellation) => SendAsync(
        rules is null ? HttpMethod.Delete : HttpMethod.Put, $"admin/tenants/{Escape(tenant.Value)}/quotas{(key.Length == 0 ? "" : "/" + Escape(key))}",
        rules is null ? null : JsonSerializer.SerializeToNode(rules, QuotaStore.Json)!.AsObject(), cancellation);

    public void Dispose() => _http.Dispose();

    private static string Escape(string text) => Uri.EscapeDataString(text);

    private async Task<JsonNode> SendAsync(HttpMethod method, string path, JsonObject? body, CancellationToken cancellation)
    {
        using HttpRequestMessage request = new(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, cancellation);
            string text = await response.Content.ReadAsStringAsync(cancellation);
            JsonNode? json = JsonNode.Parse(text);
            return response.IsSuccessStatusCode && json is not null ? json
                : throw new CommandException(json?["error"]?["message"]?.GetValue<string>() ?? $"{_http.BaseAddress} answered {(int)response.StatusCode}");
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException || (exception is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new CommandException($"the admin listener {_http.BaseAddress} does not answer as one: {exception.InnerException?.Message ?? exception.Message}");
        }
    }

    private static Tenant TenantOf(JsonNode json) => new(new TenantId(Text(json, "id")!), Time(json, "created")!.Value, Time(json, "suspended"));

    private static NewKey NewKeyOf(JsonNode json) => new(KeyOf(json), Text(json, "key")!);

    private static ApiKey KeyOf(JsonNode json) => new(
        Text(json, "id")!,
        Text(json, "tenant") is { } tenant ? new TenantId(tenant) : null,
        Text(json, "name")!,
        KeyScopeNames.Known(string.Join(',', json["scopes"]!.AsArray().Select(scope => scope!.GetValue<string>()))),
        Time(json, "created")!.Value,
        Time(json, "expires"),
        Time(json, "revoked"),
        Time(json, "old_secret_until"),
        Text(json, "last_used") is { } day ? DateOnly.Parse(day, System.Globalization.CultureInfo.InvariantCulture) : null);

    private static string? Text(JsonNode json, string name) => json[name]?.GetValue<string>();

    private static DateTimeOffset? Time(JsonNode json, string name) =>
        Text(json, name) is { } text ? DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : null;

    private static SocketsHttpHandler Handler(string? path)
    {
        SocketsHttpHandler handler = new() { AllowAutoRedirect = false, UseProxy = false };
        if (path is not null)
        {
            X509Certificate2Collection roots = [];
            roots.ImportFromPemFile(path);
            X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(roots);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return handler;
    }
}
