using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Kubernetes;

/// <summary>
/// Reads and writes single Secrets of one namespace over HTTPS, with the pod's token; the API server must show a certificate of the cluster's own authority. Nothing is listed, so that a role
/// over the Secrets' names is enough.
/// </summary>
internal sealed class SecretClient : IDisposable
{
    private const int MaxAnswerBytes = 4 << 20, Attempts = 6;

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30), s_connect = TimeSpan.FromSeconds(10), s_pause = TimeSpan.FromSeconds(2);

    private readonly ServiceAccount _account;
    private readonly string _namespace;
    private readonly HttpClient _http;

    public SecretClient(ServiceAccount account, string @namespace)
    {
        (_account, _namespace) = (account, @namespace);
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(account.AuthorityPath);
        var handler = new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy }, UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = s_connect };
        _http = new HttpClient(handler) { BaseAddress = account.Server, Timeout = s_deadline, MaxResponseContentBufferSize = MaxAnswerBytes };
    }

    /// <summary>Null when there is no such Secret.</summary>
    public async Task<KeptSecret?> FindAsync(string name, CancellationToken cancellation) =>
        await SendAsync(HttpMethod.Get, name, "", null, cancellation) is { } found ? new KeptSecret(found) : null;

    /// <summary>
    /// By server-side apply under a manager of its own, which, unlike a POST, is allowed by name, and which fails where another one made it meanwhile with other contents.
    /// </summary>
    public Task CreateAsync(string name, IReadOnlyDictionary<string, string> labels, IReadOnlyDictionary<string, string> files, CancellationToken cancellation)
    {
        JsonObject secret = new()
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = _namespace, ["labels"] = new JsonObject(labels.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))) },
            ["data"] = KeptSecret.Encode(files),
        };
        return SendAsync(HttpMethod.Patch, name, $"?fieldManager=lamina-{Guid.NewGuid():n}", (secret.ToJsonString(), "application/apply-patch+yaml"), cancellation);
    }

    /// <summary>Fails when it was changed since it was read.</summary>
    public Task ReplaceAsync(string name, KeptSecret secret, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Put, name, "", (secret.Text, "application/json"), cancellation);

    public void Dispose() => _http.Dispose();

    private async Task<JsonObject?> SendAsync(HttpMethod method, string name, string query, (string Text, string Type)? body, CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            using HttpRequestMessage request = new(method, $"api/v1/namespaces/{Uri.EscapeDataString(_namespace)}/secrets/{Uri.EscapeDataString(name)}{query}")
            {
                Content = body is { } sent ? new StringContent(sent.Text, Encoding.UTF8, sent.Type) : null,
                Headers = { Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(_account.TokenPath, cancellation)).Trim()) },
            };
            try
            {
                using HttpResponseMessage response = await _http.SendAsync(request, cancellation);
                string text = await response.Content.ReadAsStringAsync(cancellation);
                return response.StatusCode == HttpStatusCode.NotFound && method == HttpMethod.Get ? null
                    : response.IsSuccessStatusCode ? JsonNode.Parse(text) as JsonObject ?? throw new CommandException($"the API server answered no object for Secret '{name}'")
                    : throw new CommandException($"the API server answered {(int)response.StatusCode} for Secret '{name}': {Message(text)}");
            }
            catch (Exception exception) when (attempt < Attempts && !cancellation.IsCancellationRequested && exception is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } or TaskCanceledException)
            {
                // The way out of a pod that has just begun may open a moment later than the pod.
                await Task.Delay(s_pause, cancellation);
            }
            catch (Exception exception) when (exception is HttpRequestException or JsonException || (exception is TaskCanceledException && !cancellation.IsCancellationRequested))
            {
                throw new CommandException($"the API server at {_account.Server} cannot be asked for Secret '{name}': {exception.InnerException?.Message ?? exception.Message}");
            }
        }
    }

    /// <summary>The sentence of a Status object.</summary>
    private static string Message(string body)
    {
        try
        {
            return (string?)(JsonNode.Parse(body) as JsonObject)?["message"] ?? "no reason given";
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return "no reason given";
        }
    }
}
