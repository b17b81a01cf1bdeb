using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

/// <summary>
/// Certificates of an embedded cell on one machine: a root whose key never leaves memory, and a folder per process. Reissues the leaves in time while alive;
/// disposing deletes the keys.
/// </summary>
public sealed class EphemeralPki : IDisposable
{
    private static readonly string[] s_hosts = ["localhost", "127.0.0.1", "::1"];

    private readonly string _folder;
    private readonly (PeerRole Role, string Name)[] _processes;
    private readonly CertificateAuthority _authority;
    private readonly Timer _renewal;

    private EphemeralPki(string folder, TenantId tenant, (PeerRole Role, string Name)[] processes)
    {
        _folder = folder;
        _processes = processes;
        _authority = CertificateAuthority.Create("local", tenant);
        Renew();
        TimeSpan period = CertificateAuthority.DefaultLeafLifetime / 3;
        _renewal = new Timer(static pki => ((EphemeralPki)pki!).TryRenew(), this, period, period);
    }

    /// <summary>Writes everything that an embedded cell needs, in one call.</summary>
    public static EphemeralPki Create(string folder, TenantId tenant, IEnumerable<string> coordinators, IEnumerable<string> nodes) =>
        new(folder, tenant, [.. coordinators.Select(name => (PeerRole.Coordinator, name)), .. nodes.Select(name => (PeerRole.Node, name))]);

    /// <summary>Files of one process.</summary>
    public CertificateFiles Files(PeerRole role, string name) => CertificateFiles.In(Path.Combine(_folder, PeerIdentity.RoleName(role), name));

    /// <summary>Issues all leaves anew; running processes take them over with their next handshake.</summary>
    public void Renew()
    {
        foreach ((PeerRole role, string name) in _processes)
        {
            _authority.Issue(role, name, s_hosts).Save(Path.Combine(_folder, PeerIdentity.RoleName(role), name), _authority.RootPem);
        }
    }

    public void Dispose()
    {
        using (ManualResetEvent stopped = new(false))
        {
            if (_renewal.Dispose(stopped))
            {
                stopped.WaitOne();
            }
        }

        _authority.Dispose();
        foreach ((PeerRole role, string name) in _processes)
        {
            if (File.Exists(Files(role, name).KeyPath))
            {
                File.Delete(Files(role, name).KeyPath);
            }
        }
    }

    // A full disk must not end the process: the leaves in use are good for two more periods.
    private void TryRenew()
    {
        try
        {
            Renew();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
