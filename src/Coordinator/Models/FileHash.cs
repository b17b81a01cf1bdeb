using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>SHA-256 of an open file, by positional reads: of the descriptor that is used afterwards, not of whatever bears its name.</summary>
internal static class FileHash
{
    /// <param name="length">Bytes from the start, or fewer where the file ends.</param>
    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Of(SafeFileHandle file, long length, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        for (long offset = 0; offset < length;)
        {
            cancellation.ThrowIfCancellationRequested();
            int read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - offset)), offset);
            if (read == 0)
            {
                break;
            }

            hash.AppendData(buffer, 0, read);
            offset += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
