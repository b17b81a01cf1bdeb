using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

/// <summary>
/// An operator's folder of authorities and issued certificates; what <c>lamina pki</c> works on. Layout: <c>installation</c>, and for each tenant
/// <c>{tenant}/roots/{n}.crt|.key</c> (newest has the highest number), <c>{tenant}/ca.crt</c> (all roots), <c>{tenant}/{role}/{name}/tls.crt|tls.key|ca.crt</c>.
/// </summary>
/// <remarks>
/// A root is replaced in three steps, each followed by distributing the files: <see cref="AddRoot"/> (everyone trusts both), <see cref="RotateLeaves"/> (everyone
/// shows leaves of the new one), <see cref="DropOldRoots"/>. No connection fails at any step.
/// </remarks>
public sealed class PkiFolder
{
    private const string InstallationFile = "installation";

    private readonly TimeProvider _time;

    private PkiFolder(string path, string installation, TimeProvider? time)
    {
        FolderPath = path;
        Installation = installation;
        _time = time ?? TimeProvider.System;
    }

    public string FolderPath { get; }

    public string Installation { get; }

    public static PkiFolder Init(string path, string installation, TimeProvider? time = null)
    {
        if (!Names.IsValidInstallation(installation))
        {
            throw new ArgumentException($"installation '{installation}' is not a valid name: use lower-case labels of letters, digits and inner hyphens, joined by dots");
        }

        string marker = Path.Combine(path, InstallationFile);
        if (File.Exists(marker))
        {
            throw new InvalidOperationException($"folder '{path}' already holds the PKI of installation '{File.ReadAllText(marker).Trim()}'");
        }

        PrivateFile.CreateFolder(path);
        PrivateFile.Write(marker, installation + "\n", secret: false);
        return new PkiFolder(path, installation, time);
    }

    public static PkiFolder Open(string path, TimeProvider? time = null)
    {
        string marker = Path.Combine(path, InstallationFile);
        return File.Exists(marker)
            ? new PkiFolder(path, File.ReadAllText(marker).Trim(), time)
            : throw new InvalidOperationException($"folder '{path}' holds no PKI; create one with 'lamina pki init'");
    }

    public IReadOnlyList<TenantId> Tenants => [.. Directory.GetDirectories(FolderPath).Select(folder => Path.GetFileName(folder)!).Where(Names.IsValid).Order(StringComparer.Ordinal).Select(name => new TenantId(name))];

    /// <summary>Creates a tenant's first root.</summary>
    public void AddTenant(TenantId tenant)
    {
        Names.Require(tenant.Value, "tenant");
        if (Directory.Exists(Path.Combine(FolderPath, tenant.Value)))
        {
            throw new InvalidOperationException($"tenant '{tenant}' already exists in '{FolderPath}'");
        }

        PrivateFile.CreateFolder(Path.Combine(FolderPath, tenant.Value, "roots"));
        AddRoot(tenant);
    }

    /// <summary>Issues (or issues anew) the certificate of one process and returns its folder's files.</summary>
    public CertificateFiles Issue(TenantId tenant, PeerRole role, string name, IReadOnlyCollection<string> hosts, TimeSpan? lifetime = null)
    {
        using CertificateAuthority authority = NewestRoot(tenant);
        return authority.Issue(role, name, hosts, lifetime).Save(LeafFolder(tenant, role, name), File.ReadAllText(BundlePath(tenant)));
    }

    /// <summary>Issues every certificate of the tenant anew from the newest root, for the same names and hosts. How many.</summary>
    public int RotateLeaves(TenantId tenant, TimeSpan? lifetime = null)
    {
        IReadOnlyList<IssuedCertificate> leaves = [.. Show(tenant).Where(c => c.Identity is not null)];
        foreach (IssuedCertificate leaf in leaves)
        {
            Issue(tenant, leaf.Identity!.Role, leaf.Identity.Name, leaf.Hosts, lifetime ?? leaf.NotAfter - leaf.NotBefore - CertificateAuthority.Backdating);
        }

        return leaves.Count;
    }

    /// <summary>Creates a further root; all processes' bundles trust it beside the others. Leaves stay as they are.</summary>
    public void AddRoot(TenantId tenant)
    {
        int next = RootNumbers(tenant).DefaultIfEmpty(0).Max() + 1;
        using CertificateAuthority authority = CertificateAuthority.Create(Installation, tenant, time: _time);
        authority.Save(RootPath(tenant, next, "crt"), RootPath(tenant, next, "key"));
        WriteBundles(tenant);
    }

    /// <summary>
    /// Trusts only the newest root from now on and deletes the others with their keys. How many. Throws <see cref="InvalidOperationException"/> while a certificate of this folder
    /// that is still good stands below one of them: its process would be refused.
    /// </summary>
    public int DropOldRoots(TenantId tenant)
    {
        int[] old = [.. RootNumbers(tenant).SkipLast(1)];
        foreach (string leaf in LeafFolders(tenant).Select(folder => CertificateFiles.In(folder).CertificatePath))
        {
            RequireNotBelow(leaf, tenant, old);
        }

        foreach (int number in old)
        {
            File.Delete(RootPath(tenant, number, "key"));
            File.Delete(RootPath(tenant, number, "crt"));
        }

        WriteBundles(tenant);
        return old.Length;
    }

    /// <summary>Roots, then leaves, as they lie in the folder.</summary>
    public IReadOnlyList<IssuedCertificate> Show(TenantId tenant)
    {
        RequireTenant(tenant);
        List<IssuedCertificate> found = [.. RootNumbers(tenant).Select(n => IssuedCertificate.Read(RootPath(tenant, n, "crt")))];
        found.AddRange(LeafFolders(tenant).Select(folder => IssuedCertificate.Read(CertificateFiles.In(folder).CertificatePath)));
        return found;
    }

    private void RequireNotBelow(string leafPath, TenantId tenant, int[] roots)
    {
        using X509Certificate2 leaf = X509CertificateLoader.LoadCertificateFromFile(leafPath);
        if (leaf.NotAfter < _time.GetUtcNow().LocalDateTime)
        {
            return;
        }

        foreach (int number in roots)
        {
            using X509Certificate2 root = X509CertificateLoader.LoadCertificateFromFile(RootPath(tenant, number, "crt"));
            X509AuthorityKeyIdentifierExtension? issuer = leaf.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault();
            X509SubjectKeyIdentifierExtension? own = root.Extensions.OfType<X509SubjectKeyIdentifierExtension>().FirstOrDefault();
            if (issuer?.KeyIdentifier is { } key && own is not null && key.Span.SequenceEqual(own.SubjectKeyIdentifierBytes.Span))
            {
                throw new InvalidOperationException($"'{leafPath}' is good until {leaf.NotAfter.ToUniversalTime():u} and stands below root {number}: issue it anew ('lamina pki rotate {tenant} leaves') and distribute it first");
            }
        }
    }

    private void WriteBundles(TenantId tenant)
    {
        string bundle = string.Concat(RootNumbers(tenant).Select(n => File.ReadAllText(RootPath(tenant, n, "crt")).TrimEnd() + "\n"));
        PrivateFile.Write(BundlePath(tenant), bundle, secret: false);
        foreach (string folder in LeafFolders(tenant))
        {
            PrivateFile.Write(CertificateFiles.In(folder).TrustBundlePath, bundle, secret: false);
        }
    }

    private CertificateAuthority NewestRoot(TenantId tenant)
    {
        RequireTenant(tenant);
        int newest = RootNumbers(tenant).Max();
        return CertificateAuthority.Open(Installation, tenant, RootPath(tenant, newest, "crt"), RootPath(tenant, newest, "key"), _time);
    }

    private void RequireTenant(TenantId tenant)
    {
        if (!Names.IsValid(tenant.Value) || RootNumbers(tenant).Length == 0)
        {
            throw new InvalidOperationException($"tenant '{tenant}' has no root in '{FolderPath}'; create it with 'lamina pki tenant'");
        }
    }

    private int[] RootNumbers(TenantId tenant) => RootFiles.Numbers(Path.Combine(FolderPath, tenant.Value, "roots"));

    private IEnumerable<string> LeafFolders(TenantId tenant) => Enum.GetValues<PeerRole>()
        .Select(role => Path.Combine(FolderPath, tenant.Value, PeerIdentity.RoleName(role)))
        .Where(Directory.Exists)
        .SelectMany(Directory.GetDirectories)
        .Where(folder => File.Exists(CertificateFiles.In(folder).CertificatePath))
        .Order(StringComparer.Ordinal);

    private string RootPath(TenantId tenant, int number, string extension) => Path.Combine(FolderPath, tenant.Value, "roots", $"{number}.{extension}");

    private string BundlePath(TenantId tenant) => Path.Combine(FolderPath, tenant.Value, "ca.crt");

    private string LeafFolder(TenantId tenant, PeerRole role, string name) =>
        Path.Combine(FolderPath, tenant.Value, PeerIdentity.RoleName(role), Names.Require(name, PeerIdentity.RoleName(role)));
}

/// <summary>A certificate as <c>lamina pki show</c> lists it.</summary>
/// <param name="Identity">Null for a root.</param>
public sealed record IssuedCertificate(string Path, string Subject, PeerIdentity? Identity, IReadOnlyList<string> Hosts, string SerialNumber, DateTimeOffset NotBefore, DateTimeOffset NotAfter)
{
    public static IssuedCertificate Read(string path)
    {
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificateFromFile(path);
        CertificateRules.ReadIdentity(certificate, out PeerIdentity? identity);
        List<string> hosts = [];
        foreach (X509Extension extension in certificate.Extensions)
        {
            if (extension is X509SubjectAlternativeNameExtension names)
            {
                hosts.AddRange(names.EnumerateDnsNames());
                hosts.AddRange(names.EnumerateIPAddresses().Select(address => address.ToString()));
            }
        }

        return new IssuedCertificate(path, certificate.Subject, identity, hosts, certificate.SerialNumber, certificate.NotBefore, certificate.NotAfter);
    }
}
