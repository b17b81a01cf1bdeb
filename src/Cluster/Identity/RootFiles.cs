using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>Where a tenant's root lies: one pair of PEM files, or the folder <c>roots</c> of <c>lamina pki</c>, which holds <c>1.crt</c>, <c>1.key</c> and, once the root was rotated, those with higher numbers.</summary>
public sealed class RootFiles
{
    private readonly string? _folder;
    private readonly (string Certificate, string Key) _pair;

    private RootFiles(string? folder, (string Certificate, string Key) pair)
    {
        _folder = folder;
        _pair = pair;
    }

    public static RootFiles Pair(string certificatePath, string keyPath) => new(null, (certificatePath, keyPath));

    public static RootFiles In(string folder) => new(folder, default);

    /// <summary>What the operator named.</summary>
    public string Place => _folder ?? _pair.Certificate;

    /// <summary>
    /// The pair, or the newest root of the folder that <paramref name="trust"/> holds: what is issued below a root is refused until its bundle has been distributed. Throws
    /// <see cref="InvalidDataException"/> when the folder has none.
    /// </summary>
    internal (string Certificate, string Key) Newest(TrustedRoots trust)
    {
        if (_folder is null)
        {
            return _pair;
        }

        try
        {
            foreach (int number in Numbers(_folder).Reverse())
            {
                string path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{number}.crt"));
                using X509Certificate2 root = X509CertificateLoader.LoadCertificateFromFile(path);
                if (trust.Roots.Any(trusted => trusted.RawDataMemory.Span.SequenceEqual(root.RawDataMemory.Span)))
                {
                    return (path, Path.ChangeExtension(path, "key"));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new InvalidDataException($"the roots in '{_folder}' cannot be read: {e.Message}");
        }

        throw new InvalidDataException($"none of the roots in '{_folder}' is in this cell's trust bundle");
    }

    /// <summary>The numbers of a folder's roots, oldest first.</summary>
    internal static int[] Numbers(string folder) => Directory.Exists(folder)
        ? [.. Directory.GetFiles(folder, "*.crt").Select(Path.GetFileNameWithoutExtension).Where(name => name!.All(char.IsAsciiDigit)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture)).Order()]
        : [];
}
