using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;

namespace Lamina.Cli.Isolation;

/// <summary>What lies on disk: keys and stores that others of this machine could read, and authorities that two tenants share.</summary>
internal static class FileCrossings
{
    /// <summary>Who would read them.</summary>
    public const string Others = "others";

    // A pod reads its mounted Secret as a member of the group, so the group may read.
    private const UnixFileMode Foreign = UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <param name="stores">Folders of the tenants' stores, and secrets of the installation.</param>
    public static IReadOnlyList<Crossing> TryAll(IReadOnlyList<Insider> cells, IReadOnlyList<(string Owner, string Path)> stores)
    {
        var found = new List<Crossing>();
        foreach (Insider cell in cells.Where(cell => cell.Certificates is not null))
        {
            found.AddRange(Mode(cell.Name, "key file", cell.Certificates!.KeyPath));
        }

        foreach ((string owner, string path) in stores)
        {
            found.AddRange(Mode(owner, Directory.Exists(path) ? "folder" : "file", path));
        }

        Insider[] insiders = [.. cells.Where(cell => cell.Certificates is not null)];
        for (int i = 0; i < insiders.Length; i++)
        {
            for (int j = i + 1; j < insiders.Length; j++)
            {
                string[] shared = [.. Roots(insiders[i].Certificates!).Intersect(Roots(insiders[j].Certificates!))];
                found.Add(shared.Length == 0
                    ? Crossing.Held(insiders[i].Name, insiders[j].Name, "a common authority", "their trust bundles share none")
                    : Crossing.Crossed(insiders[i].Name, insiders[j].Name, "a common authority", $"both trust {string.Join(", ", shared)}"));
            }
        }

        return found;
    }

    private static IEnumerable<Crossing> Mode(string owner, string kind, string path)
    {
        if (OperatingSystem.IsWindows() || !Path.Exists(path))
        {
            yield return Crossing.NotTried(Others, owner, $"{kind} {path}", "it is not on this machine");
            yield break;
        }

        UnixFileMode mode = File.GetUnixFileMode(path);
        string what = $"{kind} {path}, mode {Convert.ToString((int)mode, 8)}";
        yield return (mode & Foreign) == 0 ? Crossing.Held(Others, owner, what, "closed to others") : Crossing.Crossed(Others, owner, what, "others of this machine can read or write it");
    }

    private static IEnumerable<string> Roots(CertificateFiles files)
    {
        var roots = new X509Certificate2Collection();
        roots.ImportFromPemFile(files.TrustBundlePath);
        return roots.Select(root => root.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)).ToArray();
    }
}
