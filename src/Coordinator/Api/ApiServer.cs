using System.Net;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Api.Status;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api;

/// <summary>The HTTP listener and its endpoints.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(2);

    private readonly WebApplication _app;
    private readonly ApiMetrics _metrics;
    private readonly GenerationArchive _archive;
    private readonly BatchService _batches;

    private ApiServer(WebApplication app, ApiMetrics metrics, GenerationArchive archive, BatchService batches, Uri address)
    {
        _batches = batches;
        _app = app;
        _metrics = metrics;
        _archive = archive;
        Address = address;
    }

    public Uri Address { get; }

    public Prometheus.CollectorRegistry Metrics => _metrics.Registry;

    /// <summary>Binds and answers from then on. Throws <see cref="IOException"/> with one sentence when the port is taken.</summary>
    public static async Task<ApiServer> StartAsync(
        CoordinatorOptions options, Func<IReadOnlyList<Cell>> cells, AccessControl? access, ILoggerFactory loggers, CancellationToken cancellation)
    {
        IPEndPoint listen = ListenAddress.Parse(options.Listen);
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "Lamina.Coordinator" });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, listen));
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = s_stopDeadline);

        var metrics = new ApiMetrics(cells);
        WebApplication app = builder.Build();
        ILogger logger = loggers.CreateLogger("Lamina.Api");
        app.UseRouting();
        app.Use(new RequestLog(logger, metrics).InvokeAsync);
        app.Use(new ErrorGuard(logger).InvokeAsync);
        app.Use(options.NeedsKeys() ? new AccessGuard(access!.Ring).InvokeAsync : LoopbackGuard.Middleware(options.Cells[0].Tenant));
        var archive = new GenerationArchive(options.Resumption, TimeProvider.System, logger);
        if (access is not null)
        {
            access.Ring.Ended += archive.CancelOf;
        }

        BatchService batches = MapAll(app, options, cells, access, metrics, archive, logger);
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (Exception e)
        {
            await app.DisposeAsync();
            await batches.DisposeAsync();
            archive.Dispose();
            metrics.Dispose();
            if (e is IOException && e.InnerException is AddressInUseException)
            {
                throw new IOException($"the HTTP API cannot listen on {listen}: the port is in use by another process", e);
            }

            throw;
        }

        string bound = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new ApiServer(app, metrics, archive, batches, new Uri(bound));
    }

    public async ValueTask DisposeAsync()
    {
        _archive.Dispose();
        await _batches.DisposeAsync();
        using var deadline = new CancellationTokenSource(s_stopDeadline);
        try
        {
            await _app.StopAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            // Connections that did not end in time are cut by the disposal.
        }

        await _app.DisposeAsync();
        _metrics.Dispose();
    }

    private static void Configure(KestrelServerOptions kestrel, IPEndPoint listen)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = 4096;
        kestrel.Limits.MaxRequestBodySize = ApiLimits.MaxBodyBytes;
        kestrel.Limits.MaxRequestHeaderCount = 64;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16 << 10;
        kestrel.Limits.MaxRequestLineSize = 4 << 10;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(90);
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(240, TimeSpan.FromSeconds(5));
        kestrel.Limits.MinResponseDataRate = new MinDataRate(240, TimeSpan.FromSeconds(10));
        kestrel.Listen(listen, options => options.Protocols = HttpProtocols.Http1);
    }

    private static BatchService MapAll(
        WebApplication app, CoordinatorOptions options, Func<IReadOnlyList<Cell>> cells, AccessControl? access, ApiMetrics metrics, GenerationArchive archive, ILogger logger)
    {
        var responder = new Responder(archive);
        var models = new ModelLookup(cells);
        var chats = new ChatCompletionsEndpoint(models, metrics, TimeProvider.System, responder);
        var completions = new CompletionsEndpoint(models, metrics, TimeProvider.System, responder);
        chats.Map(app);
        completions.Map(app);
        new GenerationsEndpoint(responder).Map(app);
        new TextEndpoints(models, TimeProvider.System).Map(app);
        var encoders = new EncoderEndpoints(models, metrics);
        encoders.Map(app);
        new ModelsEndpoint(models).Map(app);
        new HealthEndpoints(cells).Map(app);
        new MetricsEndpoint(metrics).Map(app);
        new StatusEndpoints(models).Map(app);

        var batched = new Dictionary<string, BeginAnswer>
        {
            [ChatCompletionsEndpoint.Route] = chats.Begin, [CompletionsEndpoint.Route] = completions.Begin, [EncoderEndpoints.EmbeddingsRoute] = encoders.BeginEmbedding,
        };
        var batches = new BatchService(options.StorePath, options.Batches, batched, options.NeedsKeys() ? BatchAccess.Of(access!.Ring) : BatchAccess.Open, cells, TimeProvider.System, logger);
        new FilesEndpoint(batches).Map(app);
        new BatchesEndpoint(batches).Map(app);
        return batches;
    }

    /// <summary>Signals belong to the process that hosts the coordinator, not to its web server.</summary>
    private sealed class SilentLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
