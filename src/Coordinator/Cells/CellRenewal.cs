using Lamina.Cluster.Identity;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>A coordinator that holds the tenant's root renews its own certificate in time, and those of the nodes that ask (<see cref="NodeRegistryActor"/>).</summary>
internal sealed class CellRenewal : IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    private readonly LeafRenewal _own;
    private readonly CertificateProvider _certificates;
    private readonly ILogger _logger;
    private readonly Timer _timer;

    private CellRenewal(CellIssuer issuer, LeafRenewal own, CertificateProvider certificates, ILogger logger)
    {
        (Issuer, _own, _certificates, _logger) = (issuer, own, certificates, logger);
        _timer = new Timer(_ => RenewIfDue(), null, TimeSpan.Zero, s_interval);
    }

    public CellIssuer Issuer { get; }

    /// <summary>Null where the configuration names no root. Throws <see cref="InvalidDataException"/> with one sentence when the root cannot renew this cell's certificates.</summary>
    public static CellRenewal? Start(CellOptions options, CertificateProvider certificates, ILogger logger)
    {
        if (options.Issuer is not { } root)
        {
            return null;
        }

        var issuer = new CellIssuer(root.RootsPath is { } folder ? RootFiles.In(folder) : RootFiles.Pair(root.CertificatePath!, root.KeyPath!), certificates, TimeProvider.System);
        issuer.Check();
        var files = new CertificateFiles(options.CertificatePath, options.KeyPath, options.TrustBundlePath);
        return new CellRenewal(issuer, new LeafRenewal(files, certificates, TimeProvider.System), certificates, logger);
    }

    public void Dispose()
    {
        using var stopped = new ManualResetEvent(false);
        if (_timer.Dispose(stopped))
        {
            stopped.WaitOne();
        }

        _own.Dispose();
    }

    private void RenewIfDue()
    {
        try
        {
            if (_own.IsDue)
            {
                _own.Take(Issuer.RenewOwn());
                _logger.LogInformation("the cell's certificate was renewed and is good until {End:u}", _certificates.NotAfter);
            }
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            _logger.LogWarning("the cell's certificate, which ends at {End:u}, was not renewed: {Problem}", _certificates.NotAfter, e.Message);
        }
    }
}
