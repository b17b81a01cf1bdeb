using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>The files of an HTTPS listener, replaced as an operator's renewal would: by a certificate below a root that did not exist before.</summary>
internal sealed class HttpsFiles
{
    private readonly ConcurrentDictionary<string, bool> _issued = new();

    public HttpsFiles(string folder)
    {
        Directory.CreateDirectory(folder);
        (CertificatePath, KeyPath) = (Path.Combine(folder, "https.crt"), Path.Combine(folder, "https.key"));
        Renew();
    }

    public string CertificatePath { get; }
    public string KeyPath { get; }

    /// <summary>Of the certificate that lies there now.</summary>
    public string Thumbprint { get; private set; } = "";

    public bool Issued(X509Certificate? certificate) => certificate is X509Certificate2 known && _issued.ContainsKey(known.Thumbprint);

    public void Renew()
    {
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var rootRequest = new CertificateRequest("CN=https root", rootKey, HashAlgorithmName.SHA256);
        rootRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 root = rootRequest.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(2));
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 leaf = request.Create(root, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(16));

        // Known before it is shown.
        Thumbprint = leaf.Thumbprint;
        _issued[leaf.Thumbprint] = true;
        Replace(KeyPath, key.ExportPkcs8PrivateKeyPem());
        Replace(CertificatePath, leaf.ExportCertificatePem() + "\n" + root.ExportCertificatePem());
    }

    private static void Replace(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
        using (var writer = new StreamWriter(path + ".new", options))
        {
            writer.Write(text);
        }

        File.Move(path + ".new", path, overwrite: true);
    }
}
