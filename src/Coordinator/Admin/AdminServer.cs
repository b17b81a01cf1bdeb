using System.Net;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Listening;
using Lamina.Coordinator.Dashboard;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Admin;

/// <summary>The admin listener and its endpoints: tenants, keys, cells. It shares nothing with the API but the certificate.</summary>
internal sealed class AdminServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private AdminServer(WebApplication app, Uri address)
    {
        _app = app;
        Address = address;
    }

    public Uri Address { get; }

    public IReadOnlyList<RouteEndpoint> Routes => WebListener.RoutesOf(_app);

    /// <summary>Binds and answers from then on. Throws <see cref="IOException"/> with one sentence when the port is taken.</summary>
    public static async Task<AdminServer> StartAsync(
        AdminOptions options, Func<IReadOnlyList<Cell>> cells, AccessControl access, QuotaControl quotas, ServerCertificate? certificate, ILoggerFactory loggers,
        CancellationToken cancellation)
    {
        IPEndPoint listen = ListenAddress.Parse(options.Listen, "Coordinator:Admin:Listen");
        WebApplication app = WebListener.Build(listen, certificate, loggers);
        app.UseRouting();
        app.Use(quotas.Auditor.RefusalsAsync);
        app.Use(new ErrorGuard(loggers.CreateLogger("Lamina.Admin")).InvokeAsync);
        var sessions = new DashboardSessions(access.Ring, TimeProvider.System);
        app.Use(new AdminGuard(new Credentials(access.Ring, access.Issuer), sessions, DashboardEndpoints.CookieName(certificate is not null)).InvokeAsync);
        app.Use(quotas.Auditor.AdministrationAsync);
        app.Use(RefuseAsync);
        new TenantEndpoints(access).Map(app);
        new KeyEndpoints(access).Map(app);
        new CellEndpoints(cells).Map(app);
        new DeploymentEndpoints(cells, quotas).Map(app);
        new ControlEndpoints(quotas, access, cells, TimeProvider.System).Map(app);
        new RunningEndpoints(quotas, TimeProvider.System).Map(app);
        new DashboardEndpoints(access.Ring, sessions, new DashboardFeed(cells, quotas, certificate, TimeProvider.System), certificate is not null).Map(app);
        return new AdminServer(app, await WebListener.StartAsync(app, listen, "admin listener", cancellation));
    }

    public async ValueTask DisposeAsync() => await WebListener.StopAsync(_app);

    /// <summary>Turns what the stores refuse into answers.</summary>
    private static async Task RefuseAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (AccessChangeException e)
        {
            // One answer for what is another tenant's and what does not exist, whatever it was called.
            throw (e.IsNotFound ? ApiError.RouteNotFound() with { Message = "there is no such tenant or key" } : ApiError.InvalidBody(e.Message) with { Code = "invalid_value" }).AsException();
        }
        catch (StateUnavailableException)
        {
            throw (ApiError.Unavailable("the database does not answer; keys and tenants cannot be changed until it does") with { Code = "database_unavailable" }).AsException();
        }
    }
}
