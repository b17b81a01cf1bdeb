using System.Text.RegularExpressions;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>A coordinator and a node of one tenant that are configured by environment variables alone, as in a pod; gone with their folder when disposed.</summary>
internal sealed partial class EnvironmentCell : IDisposable
{
    private static readonly string[] s_loopback = ["127.0.0.1"];
    private static readonly TenantId s_tenant = new("acme");

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
    private readonly List<LaminaProcess> _processes = [];
    private readonly PkiFolder _pki;

    public EnvironmentCell()
    {
        _pki = PkiFolder.Init(Path.Combine(_folder, "pki"), "test");
        _pki.AddTenant(s_tenant);
    }

    /// <summary>Serves the built-in model.</summary>
    public LaminaProcess StartCoordinator(params (string Key, string Value)[] further) => Start("coordinator", "Coordinator__Cells__0", PeerRole.Coordinator, "front",
        [
            ("Coordinator__Listen", "127.0.0.1:0"),
            ("Coordinator__StorePath", Path.Combine(_folder, "store")),
            ("Coordinator__Cells__0__Models__0__Path", Repository.File("models/lamina-tiny-q8_0.gguf")),
            .. further,
        ]);

    /// <param name="started">The line in which the coordinator says where it is.</param>
    public LaminaProcess StartNode(string started, params (string Key, string Value)[] further) => Start("node", "Node", PeerRole.Node, "node-1",
        [("Node__Seeds__0", Seed().Match(started).Groups[1].Value), ("Node__CachePath", Path.Combine(_folder, "cache")), ("Node__Threads", "1"), .. further]);

    public void Dispose()
    {
        foreach (LaminaProcess process in _processes)
        {
            process.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private LaminaProcess Start(string command, string section, PeerRole role, string name, IEnumerable<(string Key, string Value)> settings)
    {
        CertificateFiles files = _pki.Issue(s_tenant, role, name, s_loopback);
        LaminaProcess process = LaminaProcess.Start([command], settings
            .Concat([
                ($"{section}__Tenant", s_tenant.Value), ($"{section}__Name", name),
                ($"{section}__CertificatePath", files.CertificatePath), ($"{section}__KeyPath", files.KeyPath), ($"{section}__TrustBundlePath", files.TrustBundlePath),
            ])
            .ToDictionary(setting => $"LAMINA__{setting.Item1}", setting => setting.Item2));
        _processes.Add(process);
        return process;
    }

    [GeneratedRegex(@"control ([^)]+)\)")]
    private static partial Regex Seed();
}
