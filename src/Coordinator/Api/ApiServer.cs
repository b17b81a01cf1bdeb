using System.Net;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Listening;
using Lamina.Coordinator.Api.OpenResponses;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Api.Status;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;
using Lamina.Coordinator.Dashboard;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api;

/// <summary>The HTTP listener and its endpoints.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ApiMetrics _metrics;
    private readonly GenerationArchive _archive;
    private readonly BatchService _batches;
    private readonly Metering _metering;
    private readonly Departure _departure;

    private ApiServer(WebApplication app, ApiMetrics metrics, GenerationArchive archive, BatchService batches, Metering metering, Departure departure, IdleWatch idle, Uri address)
    {
        Idle = idle;
        _departure = departure;
        _metering = metering;
        _batches = batches;
        _app = app;
        _metrics = metrics;
        _archive = archive;
        Address = address;
    }

    public Uri Address { get; }

    public IdleWatch Idle { get; }

    public IReadOnlyList<RouteEndpoint> Routes => WebListener.RoutesOf(_app);

    public Prometheus.CollectorRegistry Metrics => _metrics.Registry;

    /// <summary>Binds and answers from then on. Throws <see cref="IOException"/> with one sentence when the port is taken.</summary>
    public static async Task<ApiServer> StartAsync(
        CoordinatorOptions options, Func<IReadOnlyList<Cell>> cells, AccessControl? access, QuotaControl quotas, ServerCertificate? certificate, ILoggerFactory loggers,
        CancellationToken cancellation)
    {
        IPEndPoint listen = ListenAddress.Parse(options.Listen);
        var metrics = new ApiMetrics(cells, certificate is null ? null : () => certificate.NotAfter);
        var departure = new Departure();
        WebApplication app = WebListener.Build(listen, certificate, loggers, departure);
        ILogger logger = loggers.CreateLogger("Lamina.Api");
        app.Use(departure.InvokeAsync);
        var idle = new IdleWatch(TimeProvider.System);
        app.Use(idle.InvokeAsync);
        app.UseRouting();
        app.Use(new RequestLog(logger, metrics).InvokeAsync);
        app.Use(quotas.Auditor.RefusalsAsync);
        app.Use(new ErrorGuard(logger).InvokeAsync);
        app.Use(options.NeedsKeys() ? new AccessGuard(new Credentials(access!.Ring, access.Issuer)).InvokeAsync : LoopbackGuard.Middleware(options.Cells[0].Tenant));
        app.Use(quotas.Auditor.AdministrationOfApiAsync);
        var archive = new GenerationArchive(options.Resumption, TimeProvider.System, logger);
        if (access is not null)
        {
            access.Ring.Ended += archive.CancelOf;
        }

        metrics.Watch(() => archive.Unmirrored);
        metrics.WatchControl(() => quotas.Age);
        foreach (Cell cell in cells())
        {
            archive.Mirror(cell.Tenant, cell.Peers);
        }

        var metering = new Metering(quotas.Desk, quotas.Ledger, quotas.Running, metrics.Registry, (answer, result) =>
            quotas.Auditor.Generation(answer.Caller, answer.Meter.Model, answer.Meter.Digest, answer.Meter.Epoch, answer.Meter.Cost.PromptTokens, answer.Meter.Generated, result));
        app.Use(new RequestQuota(metering).InvokeAsync);
        new TenantPage(new DashboardFeed(cells, quotas, certificate, TimeProvider.System), quotas).Map(app);
        BatchService batches = MapAll(app, options, cells, access, quotas, metering, metrics, archive, logger);
        if (options.SecurityContact is { } contact)
        {
            SecurityText.Map(app, contact, TimeProvider.System);
        }
        else if (!IPAddress.IsLoopback(listen.Address))
        {
            logger.LogInformation("whoever finds a vulnerability of this installation is told of no contact: Coordinator:SecurityContact puts one at {Route}", SecurityText.Route);
        }

        try
        {
            return new ApiServer(app, metrics, archive, batches, metering, departure, idle, await WebListener.StartAsync(app, listen, "HTTP API", cancellation));
        }
        catch
        {
            idle.Dispose();
            await batches.DisposeAsync();
            archive.Dispose();
            metering.Dispose();
            metrics.Dispose();
            throw;
        }
    }

    /// <summary>Answers on, and has every connection end with its next answer; connections that wait are closed at the end.</summary>
    public async Task LingerAsync(TimeSpan duration)
    {
        _departure.Announce();
        await Task.Delay(duration);
        _departure.CloseIdle();
    }

    /// <summary>Accepts nothing more, and waits until readers have been sent what they asked for.</summary>
    public Task FinishAsync(TimeSpan within) => WebListener.FinishAsync(_app, within);

    public async ValueTask DisposeAsync()
    {
        Idle.Dispose();
        _archive.Dispose();
        await _batches.DisposeAsync();
        await WebListener.StopAsync(_app);
        _metering.Dispose();
        _metrics.Dispose();
    }

    private static BatchService MapAll(
        WebApplication app, CoordinatorOptions options, Func<IReadOnlyList<Cell>> cells, AccessControl? access, QuotaControl quotas, Metering metering, ApiMetrics metrics,
        GenerationArchive archive, ILogger logger)
    {
        var responder = new Responder(archive, metering, options.Cells.ToDictionary(cell => cell.Tenant, cell => cell.Streams));
        var models = new ModelLookup(cells, metering.Allows);
        var chats = new ChatCompletionsEndpoint(models, metrics, TimeProvider.System, responder);
        var completions = new CompletionsEndpoint(models, metrics, TimeProvider.System, responder);
        chats.Map(app);
        completions.Map(app);
        new ResponsesEndpoint(models, metrics, TimeProvider.System, responder, archive).Map(app);
        new GenerationsEndpoint(responder).Map(app);
        new TextEndpoints(models, metering, TimeProvider.System).Map(app);
        var encoders = new EncoderEndpoints(models, metrics, responder);
        encoders.Map(app);
        new ModelsEndpoint(models).Map(app);
        new HealthEndpoints(cells).Map(app);
        new MetricsEndpoint(metrics).Map(app);
        new StatusEndpoints(models).Map(app);
        new NodesEndpoint(models).Map(app);
        new UsageEndpoint(quotas, TimeProvider.System).Map(app);

        var batched = new Dictionary<string, BeginLine>
        {
            [ChatCompletionsEndpoint.Route] = metering.Metered(chats.Begin),
            [CompletionsEndpoint.Route] = metering.Metered(completions.Begin),
            [EncoderEndpoints.EmbeddingsRoute] = metering.Metered(encoders.BeginEmbedding),
        };
        var batches = new BatchService(options.StorePath, options.Batches, batched, options.NeedsKeys() ? BatchAccess.Of(access!.Ring) : BatchAccess.Open, cells, TimeProvider.System, logger);
        new FilesEndpoint(batches).Map(app);
        new BatchesEndpoint(batches, metering).Map(app);
        return batches;
    }
}
