using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Remoting;
using Microsoft.Extensions.Logging;
using AkkaLevel = Akka.Event.LogLevel;

namespace Lamina.Coordinator.Cells;

/// <summary>This coordinator's membership in the cell's Akka cluster.</summary>
internal static class CellMembership
{
    /// <summary>Binds the control port, joins (or forms the cell, when it is the only coordinator) and waits to be a full member.</summary>
    public static async Task<CellSystem> StartAsync(CellOptions options, CertificateProvider certificates, ILoggerFactory loggers, CancellationToken cancellation)
    {
        ILogger logger = loggers.CreateLogger("Akka");
        CellSystem system = await CellSystem.StartAsync(
            new Cluster.Cells.CellOptions
            {
                Certificates = certificates,
                Transport = new MtlsOptions { BindAddress = options.BindAddress, Port = options.ControlPort, PublicHost = options.PublicHost },
                Seeds = options.Seeds,
                ShardTypes = [DeploymentSharding.TypeName, Quotas.GovernorSharding.TypeName],
                EntryActors = [$"/user/{DeploymentFollower.Name}", $"/user/{CoordinatorDirectory.Name}"],
                Log = (level, source, message, cause) => Log(logger, level, source, message, cause),
                LogLevel = AkkaLevel.WarningLevel,
            },
            cancellation);
        try
        {
            await system.WaitUpAsync(cancellation);
            return system;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    private static void Log(ILogger logger, AkkaLevel level, string source, string message, Exception? cause) => logger.Log(
        level switch
        {
            // A peer that goes away is an error to Akka's endpoints; the registry reports it as what it means.
            _ when source.Contains("/system/endpointManager", StringComparison.Ordinal) || source.StartsWith("remoting", StringComparison.Ordinal) => LogLevel.Debug,
            AkkaLevel.ErrorLevel => LogLevel.Error,
            AkkaLevel.WarningLevel => LogLevel.Warning,
            AkkaLevel.InfoLevel => LogLevel.Information,
            _ => LogLevel.Debug,
        },
        cause,
        "{Source}: {Message}",
        source,
        message);
}
