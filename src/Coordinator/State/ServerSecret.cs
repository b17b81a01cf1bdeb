using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.State;

/// <summary>
/// 32 random bytes in a file of mode 0600 beside the database. Keys are stored as HMAC-SHA-256 under it, so a copy of the database alone says nothing about them.
/// Coordinators that share a database share this file.
/// </summary>
public sealed class ServerSecret
{
    private const int Size = 32;

    private readonly byte[] _key;

    private ServerSecret(byte[] key) => _key = key;

    /// <summary>Tells one secret from another without telling it.</summary>
    internal string Fingerprint => Convert.ToHexStringLower(Mac("lamina server secret"u8).AsSpan(0, 8));

    /// <summary>HMAC-SHA-256 of a text under this secret.</summary>
    public byte[] Mac(ReadOnlySpan<byte> text) => HMACSHA256.HashData(_key, text);

    /// <summary>Another secret, derived from this one for one purpose.</summary>
    public byte[] Derive(string purpose) => HKDF.Expand(HashAlgorithmName.SHA256, _key, Size, Encoding.UTF8.GetBytes(purpose));

    /// <summary>Reads the file, or makes it when neither it nor hashes under another one exist. Throws with one sentence.</summary>
    /// <param name="fingerprint">Of the secret that the database's hashes were made with; null for a new database.</param>
    internal static ServerSecret Open(string path, string? fingerprint)
    {
        if (!File.Exists(path) && fingerprint is null)
        {
            Create(path);
        }

        if (!File.Exists(path))
        {
            throw new InvalidDataException($"the server secret '{path}' is missing, and the database's keys can be checked with no other");
        }

        StateFiles.RequireOwnerOnly(path);
        var secret = new ServerSecret(Read(path));
        return fingerprint is null || secret.Fingerprint == fingerprint
            ? secret
            : throw new InvalidDataException($"the server secret '{path}' is not the one that the database's keys were made with");
    }

    private static byte[] Read(string path)
    {
        string text = new FileInfo(path).Length <= 1024 ? File.ReadAllText(path).Trim() : "";
        try
        {
            byte[] key = Convert.FromHexString(text);
            return key.Length == Size ? key : throw new FormatException();
        }
        catch (FormatException)
        {
            throw new InvalidDataException($"the server secret '{path}' must be {2 * Size} hexadecimal digits");
        }
    }

    private static void Create(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var create = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            create.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        try
        {
            using var file = new FileStream(path, create);
            file.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(Size)) + "\n"));
            file.Flush(flushToDisk: true);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process made it in this moment; its content decides.
        }
    }
}
