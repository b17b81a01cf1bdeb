using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Lamina.Client.Tests.Support;

internal sealed record SeenRequest(string Method, string Path, string Body, string? IdempotencyKey, string? LastEventId, string? Authorization, string? TraceParent);

/// <summary>An HTTP server on a free loopback port that answers as a test says and remembers what it was asked.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ScriptedServer(WebApplication app) => _app = app;

    public ConcurrentQueue<SeenRequest> Requests { get; } = new();

    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static async Task<ScriptedServer> StartAsync(Func<HttpContext, SeenRequest, Task> answer)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        WebApplication app = builder.Build();
        var server = new ScriptedServer(app);
        app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var seen = new SeenRequest(
                context.Request.Method,
                context.Request.Path.Value!,
                await reader.ReadToEndAsync(),
                context.Request.Headers["Idempotency-Key"],
                context.Request.Headers["Last-Event-ID"],
                context.Request.Headers.Authorization,
                context.Request.Headers.TraceParent);
            server.Requests.Enqueue(seen);
            await answer(context, seen);
        });
        await app.StartAsync();
        return server;
    }

    public LaminaClient Client(Func<LaminaClientOptions, LaminaClientOptions>? with = null)
    {
        var options = new LaminaClientOptions { Endpoint = Address, RetryDelay = TimeSpan.FromMilliseconds(1) };
        return new LaminaClient(with?.Invoke(options) ?? options);
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await _app.StopAsync(now.Token);
        }
        catch (OperationCanceledException)
        {
            // A scripted answer that hangs is cut.
        }

        await _app.DisposeAsync();
    }

    public static async Task JsonAsync(HttpContext context, string body, int status = 200)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body);
    }

    public static Task ErrorAsync(HttpContext context, int status, string code, string? param = null) =>
        JsonAsync(context, $$$"""{"error":{"message":"no: {{{code}}}","type":"a_type","param":{{{(param is null ? "null" : $"\"{param}\"")}}},"code":"{{{code}}}"}}""", status);

    public static string Chunk(string? content, string? finish = null) =>
        $$$"""{"id":"gen-1","created":5,"model":"m","choices":[{"index":0,"delta":{{{(content is null ? "{}" : $$"""{"content":"{{content}}"}""")}}},"finish_reason":{{{(finish is null ? "null" : $"\"{finish}\"")}}}}]}""";

    public static string UsageChunk => """{"id":"gen-1","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}}""";

    /// <summary>Writes one event and sends it off.</summary>
    public static async Task EventAsync(HttpContext context, long? number, string data)
    {
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = "text/event-stream";
        }

        string id = number is null ? "" : $"id: {number}\n";
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"{id}data: {data}\n\n"));
        await context.Response.Body.FlushAsync();
    }
}
