using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>A PostgreSQL server of this machine's installation on a machine of the played cluster: TLS and passwords, as a database of a platform has them.</summary>
internal static class PlayedDatabase
{
    private const string Machine = "database", Host = "database.data.svc.cluster.local", User = "lamina";

    private static readonly string? s_programs = Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(folder => Path.Combine(folder, "bin")).LastOrDefault(folder => File.Exists(Path.Combine(folder, "initdb"))) : null;

    /// <summary>Values by which the chart finds it.</summary>
    public const string Values = "database: { secret: database, host: database.data.svc.cluster.local, user: lamina, to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: data } } }] }\n";

    public static string? Problem() => s_programs is null ? "PostgreSQL is not installed here" : null;

    public static void Start(PlayedCluster cluster)
    {
        string folder = Directory.CreateDirectory(Path.Combine(cluster.Folder, "database")).FullName, data = Path.Combine(folder, "data");
        string password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        cluster.AddOutside(new Peer(Machine, "data", new Dictionary<string, string> { ["app"] = "postgres" }), Host, 5432);
        (string certificate, string key) = ServerCertificate.Create(Host);
        File.WriteAllText(Path.Combine(folder, "tls.crt"), certificate);
        File.WriteAllText(Path.Combine(folder, "tls.key"), key);
        File.SetUnixFileMode(Path.Combine(folder, "tls.key"), UnixFileMode.UserRead);
        DeployTools.RunSuccessfully("chown", "-R", "postgres", folder);

        // The server refuses to run as root, and its folder lies in one of root's own.
        File.SetUnixFileMode(cluster.Folder, File.GetUnixFileMode(cluster.Folder) | UnixFileMode.OtherExecute);
        DeployTools.RunSuccessfully("runuser", "-u", "postgres", "--", Path.Combine(s_programs!, "initdb"), "-D", data, "-A", "scram-sha-256", "--pwfile=" + WritePassword(folder), "--no-sync");
        File.WriteAllText(Path.Combine(data, "pg_hba.conf"), "hostssl lamina lamina 0.0.0.0/0 scram-sha-256\n");
        string script = Path.Combine(folder, "create.sql");
        File.WriteAllText(script, $"CREATE ROLE {User} LOGIN PASSWORD '{password}';\nCREATE DATABASE lamina OWNER {User};\n");
        DeployTools.RunSuccessfully("sh", "-c", $"runuser -u postgres -- {s_programs}/postgres --single -D {data} postgres <{script}");
        cluster.Machines.Start(
            Machine, "runuser", "-u", "postgres", "--", Path.Combine(s_programs!, "postgres"), "-D", data, "-h", "0.0.0.0", "-p", "5432", "-k", folder, "-F",
            "-c", "ssl=on", "-c", $"ssl_cert_file={folder}/tls.crt", "-c", $"ssl_key_file={folder}/tls.key");
        cluster.Volumes.Set(new V1Secret
        {
            Metadata = new V1ObjectMeta { Name = "database", NamespaceProperty = "lamina" },
            StringData = new Dictionary<string, string>
            {
                ["pgpass"] = $"{Host}:5432:lamina:{User}:{password}\n",
                ["state.key"] = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)) + "\n",
                ["ca.crt"] = certificate,
            },
        });
    }

    private static string WritePassword(string folder)
    {
        string path = Path.Combine(folder, "superuser");
        File.WriteAllText(path, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)) + "\n");
        DeployTools.RunSuccessfully("chown", "postgres", path);
        return path;
    }
}

/// <summary>A certificate that signs itself, for servers of a test.</summary>
internal static class ServerCertificate
{
    public static (string Certificate, string Key) Create(params string[] hosts)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={hosts[0]}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (string host in hosts)
        {
            if (IPAddress.TryParse(host, out IPAddress? address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(host);
            }
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddDays(1));
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }
}
