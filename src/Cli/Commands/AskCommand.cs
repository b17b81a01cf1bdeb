using System.CommandLine;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina ask QUESTION</c>: one chat with a running installation, as any client would have it; for a first look, and for tests of an installation.</summary>
internal static class AskCommand
{
    private const string KeyVariable = "LAMINA_API_KEY";

    public static Command Create()
    {
        Argument<string> question = new("QUESTION") { Description = "What to ask." };
        Option<string> url = new("--url") { Description = "Address of a coordinator's API.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        Option<string?> model = new("--model") { Description = "Name of the model; the first that the API lists when not given." };
        Option<string?> keyFile = new("--key-file") { Description = $"File with the API key, where the API asks for one; else {KeyVariable}." };
        Option<string?> roots = new("--ca") { Description = "PEM file of roots that the API's certificate must end in; the machine's own when not given." };
        Command command = new("ask", "Ask a running installation one question and print the answer.") { question, url, model, keyFile, roots };
        command.SetAction(async (parsed, cancellation) =>
        {
            using HttpClient http = Client(parsed.GetValue(url)!, parsed.GetValue(keyFile), parsed.GetValue(roots));
            try
            {
                using ChatStream chat = new(http, parsed.GetValue(model) ?? await FirstModelAsync(http, cancellation));
                ChatTiming timing = await chat.AskAsync(parsed.GetValue(question)!, Console.Out, cancellation);
                await Console.Out.WriteLineAsync();
                return timing.Tokens > 0 ? 0 : throw new CommandException("the answer is empty");
            }
            catch (HttpRequestException exception)
            {
                throw new CommandException($"{http.BaseAddress} does not answer: {exception.Message}{(exception.InnerException is { } inner ? $" {inner.Message}" : "")}");
            }
        });
        return command;
    }

    private static async Task<string> FirstModelAsync(HttpClient http, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await http.GetAsync(new Uri("v1/models", UriKind.Relative), cancellation);
        JsonNode? body = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation));
        return !response.IsSuccessStatusCode ? throw new CommandException($"the API answered {(int)response.StatusCode}: {body?["error"]?["message"]}")
            : body?["data"] is JsonArray { Count: > 0 } models ? models[0]!["id"]!.GetValue<string>()
            : throw new CommandException("the API lists no model");
    }

    private static HttpClient Client(string url, string? keyFile, string? roots)
    {
        if (!Uri.TryCreate(url.EndsWith('/') ? url : url + "/", UriKind.Absolute, out Uri? address) || (address.Scheme != Uri.UriSchemeHttps && address.Scheme != Uri.UriSchemeHttp))
        {
            throw new UsageException($"--url is '{url}'; it must be an http or https URL");
        }

        string? key = keyFile is not null ? File.ReadAllText(keyFile).Trim() : Environment.GetEnvironmentVariable(KeyVariable);
        if (key is { Length: > 0 } && address.Scheme == Uri.UriSchemeHttp && !address.IsLoopback)
        {
            throw new UsageException($"--url is '{url}'; the key may go to another machine over https only");
        }

        var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        if (roots is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(roots);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        var http = new HttpClient(handler) { BaseAddress = address, Timeout = TimeSpan.FromMinutes(5) };
        http.DefaultRequestHeaders.Authorization = key is { Length: > 0 } ? new AuthenticationHeaderValue("Bearer", key) : null;
        return http;
    }
}
