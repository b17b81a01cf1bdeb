using Akka.Actor;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>The cell's actor system on this coordinator.</summary>
internal static class CellActors
{
    public static Task<(ActorSystem System, Endpoint Control)> StartAsync(CellOptions options, CertificateProvider certificates, ILoggerFactory loggers, CancellationToken cancellation) =>
        throw new NotImplementedException();

    public static Task StopAsync(ActorSystem system, TimeSpan deadline) => throw new NotImplementedException();
}
