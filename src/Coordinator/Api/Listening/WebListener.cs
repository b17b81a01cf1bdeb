using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Listening;

/// <summary>
/// A Kestrel server on one address with this program's limits, as the API and the administration use it. It speaks HTTP/1.1 only: what resets streams rapidly in HTTP/2
/// or 3 finds nothing here.
/// </summary>
internal static class WebListener
{
    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_handshakeDeadline = TimeSpan.FromSeconds(5);

    /// <param name="certificate">Null = plain HTTP.</param>
    /// <param name="departure">Knows the listener's connections; null where they may be cut.</param>
    public static WebApplication Build(IPEndPoint listen, ServerCertificate? certificate, ILoggerFactory loggers, Departure? departure = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "Lamina.Coordinator" });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.CreateBoundListenSocket = ListenSocket.Create);
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, listen, certificate, departure));
        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, ClearedMemoryPool.Factory>();
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan); // whoever stops it says how long it may take
        return builder.Build();
    }

    /// <summary>Binds, and says at which address. Throws <see cref="IOException"/> with one sentence when the port is taken; the application is disposed then.</summary>
    /// <param name="what">What the sentence calls the listener.</param>
    public static async Task<Uri> StartAsync(WebApplication app, IPEndPoint listen, string what, CancellationToken cancellation)
    {
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (Exception e)
        {
            await app.DisposeAsync();
            if (e is IOException && e.InnerException is AddressInUseException)
            {
                throw new IOException($"the {what} cannot listen on {listen}: the port is in use by another process", e);
            }

            throw;
        }

        return new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public static IReadOnlyList<RouteEndpoint> RoutesOf(WebApplication app) => [.. ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()];

    public static async Task StopAsync(WebApplication app)
    {
        await FinishAsync(app, s_stopDeadline);
        await app.DisposeAsync();
    }

    /// <summary>Accepts nothing more and waits until every answer is written, at most until the deadline; then connections are cut.</summary>
    public static async Task FinishAsync(WebApplication app, TimeSpan within)
    {
        using var deadline = new CancellationTokenSource(within);
        try
        {
            await app.StopAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            // Connections that did not end in time are cut.
        }
    }

    private static void Configure(KestrelServerOptions kestrel, IPEndPoint listen, ServerCertificate? certificate, Departure? departure)
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
        kestrel.Listen(listen, options =>
        {
            options.Protocols = HttpProtocols.Http1;
            departure?.Watch(options);
            if (certificate is not null)
            {
                options.UseHttps(new TlsHandshakeCallbackOptions { HandshakeTimeout = s_handshakeDeadline, OnConnection = _ => ValueTask.FromResult(certificate.Current()) });
            }
        });
    }

    /// <summary>Signals belong to the process that hosts the coordinator, not to its web server.</summary>
    private sealed class SilentLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
