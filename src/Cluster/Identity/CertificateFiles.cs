using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>Where a process finds its identity: PEM files of the leaf, its key, and the cell's trusted roots.</summary>
public sealed record CertificateFiles(string CertificatePath, string KeyPath, string TrustBundlePath)
{
    /// <summary>Names as in a Kubernetes TLS secret, so that a mounted secret and a folder of ours look alike.</summary>
    public static CertificateFiles In(string folder) => new(Path.Combine(folder, "tls.crt"), Path.Combine(folder, "tls.key"), Path.Combine(folder, "ca.crt"));

    /// <summary>Optional list of refused peers beside the trust bundle: a URI or a serial number a line, <c>#</c> starts a comment.</summary>
    public string DenyListPath => Path.Combine(Path.GetDirectoryName(TrustBundlePath) ?? "", "denied.txt");

    /// <summary>Throws <see cref="InvalidDataException"/> when every user may read a key.</summary>
    internal static void RequirePrivate(string keyPath)
    {
        // Group read is left alone: a mounted Kubernetes secret has it through fsGroup.
        if (!OperatingSystem.IsWindows() && File.Exists(keyPath) && (File.GetUnixFileMode(keyPath) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) != 0)
        {
            throw new InvalidDataException($"key file '{keyPath}' is open to every user: set its mode to 0600");
        }
    }
}

/// <summary>The files' contents, read at one moment.</summary>
internal sealed class LoadedCertificates
{
    private const int MaxFileBytes = 1 << 20;

    public required X509Certificate2 Certificate { get; init; }
    public required TrustedRoots Trust { get; init; }
    public required PeerIdentity Identity { get; init; }

    /// <summary>A line of the deny-list that says nothing, in one sentence; null when there is none.</summary>
    public required string? DenyProblem { get; init; }

    /// <summary>SHA-256 over the files: tells whether a later reading differs.</summary>
    public required byte[] Fingerprint { get; init; }

    /// <summary>Reads and checks everything, or throws <see cref="InvalidDataException"/> with one sentence.</summary>
    public static LoadedCertificates Read(CertificateFiles files, DateTime utcNow)
    {
        CertificateFiles.RequirePrivate(files.KeyPath);
        byte[] fingerprint = ReadFingerprint(files);
        X509Certificate2 certificate;
        X509Certificate2Collection roots = [];
        try
        {
            certificate = Usable(X509Certificate2.CreateFromPemFile(files.CertificatePath, files.KeyPath));
            roots.ImportFromPemFile(files.TrustBundlePath);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"cannot use certificate '{files.CertificatePath}' with key '{files.KeyPath}' and roots '{files.TrustBundlePath}': {e.Message}");
        }

        if (roots.Count == 0)
        {
            throw new InvalidDataException($"trust bundle '{files.TrustBundlePath}' holds no certificate");
        }

        if (CertificateRules.ReadIdentity(certificate, out PeerIdentity? identity) is { } refusal)
        {
            throw new InvalidDataException($"certificate '{files.CertificatePath}' names no identity: {refusal.Text}");
        }

        // What peers would refuse is found out here, not by their silence.
        DenyList denied = DenyList.Read(files.DenyListPath);
        TrustedRoots trust = new(roots, denied.Entries);
        foreach (bool server in (ReadOnlySpan<bool>)[true, false])
        {
            if (CertificateRules.Check(certificate, trust, identity!, [identity!.Role], server, utcNow, out _) is { } own)
            {
                throw new InvalidDataException($"certificate '{files.CertificatePath}' would be refused by its peers: {own.Text}");
            }
        }

        return new LoadedCertificates { Certificate = certificate, Trust = trust, Identity = identity!, Fingerprint = fingerprint, DenyProblem = denied.Problem };
    }

    /// <summary>The same with another deny-list.</summary>
    public LoadedCertificates With(DenyList denied) =>
        new() { Certificate = Certificate, Trust = Trust with { Denied = denied.Entries }, Identity = Identity, Fingerprint = Fingerprint, DenyProblem = denied.Problem };

    public static byte[] ReadFingerprint(CertificateFiles files)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in (ReadOnlySpan<string>)[files.CertificatePath, files.KeyPath, files.TrustBundlePath])
        {
            byte[] content = ReadSmall(path);
            hash.AppendData(BitConverter.GetBytes(content.Length));
            hash.AppendData(content);
            CryptographicOperations.ZeroMemory(content);
        }

        if (File.Exists(files.DenyListPath))
        {
            hash.AppendData(ReadSmall(files.DenyListPath));
        }

        return hash.GetHashAndReset();
    }

    private static byte[] ReadSmall(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists)
        {
            throw new InvalidDataException($"file '{path}' does not exist");
        }

        return file.Length <= MaxFileBytes ? File.ReadAllBytes(path) : throw new InvalidDataException($"file '{path}' has {file.Length} bytes, at most {MaxFileBytes} are read");
    }

    // SChannel cannot use a key that lives in memory only.
    private static X509Certificate2 Usable(X509Certificate2 certificate)
    {
        if (!OperatingSystem.IsWindows())
        {
            return certificate;
        }

        using (certificate)
        {
            return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
        }
    }
}
