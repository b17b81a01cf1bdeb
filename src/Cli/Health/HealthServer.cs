using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Lamina.Cli.Health;

/// <summary><c>GET /health/live</c>, <c>/health/ready</c> and <c>/metrics</c> of a process, apart from the API, so that probes and Prometheus need no access to that.</summary>
internal sealed class HealthServer : IAsyncDisposable
{
    internal const int MaxConnections = 64;

    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(1);

    private readonly WebApplication _app;

    private HealthServer(WebApplication app, Uri address)
    {
        _app = app;
        Address = address;
    }

    public Uri Address { get; }

    /// <summary>Starts when the configuration has a section <c>Health</c>; null when it has none.</summary>
    /// <param name="ready">Whether the process does its work; asked at each request.</param>
    /// <param name="registry">What <c>/metrics</c> shows.</param>
    public static async Task<HealthServer?> StartAsync(HealthOptions? options, Func<bool> ready, CollectorRegistry registry, ILoggerFactory loggers, CancellationToken cancellation)
    {
        if (options is null)
        {
            return null;
        }

        IPEndPoint endpoint = options.Endpoint();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "Lamina.Health" });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, endpoint));
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = s_stopDeadline);
        WebApplication app = builder.Build();
        app.Run(context => AnswerAsync(context, ready, registry));
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (IOException exception)
        {
            await app.DisposeAsync();
            throw new IOException($"the health listener cannot listen on {endpoint}: {exception.InnerException?.Message ?? exception.Message}", exception);
        }

        return new HealthServer(app, new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()));
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static async Task AnswerAsync(HttpContext context, Func<bool> ready, CollectorRegistry registry)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        switch (context.Request.Path.Value)
        {
            case "/health/live":
                await context.Response.WriteAsync("live\n");
                break;
            case "/health/ready":
                bool isReady = ready();
                context.Response.StatusCode = isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
                await context.Response.WriteAsync(isReady ? "ready\n" : "not ready\n");
                break;
            case "/metrics":
                context.Response.ContentType = PrometheusConstants.TextContentTypeWithVersionAndEncoding;
                await registry.CollectAndExportAsTextAsync(context.Response.Body, context.RequestAborted);
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }
    }

    // Nothing that is sent here is read: whoever reaches the port must not be able to make the process hold much.
    private static void Configure(KestrelServerOptions kestrel, IPEndPoint endpoint)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = 0;
        kestrel.Limits.MaxRequestHeadersTotalSize = 8 << 10;
        kestrel.Limits.MaxRequestLineSize = 1 << 10;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(5);
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(5);
        kestrel.Listen(endpoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            new ConnectionTurnover(MaxConnections).Watch(listen);
        });
    }

    /// <summary>Signals belong to the process, not to this listener.</summary>
    private sealed class SilentLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
