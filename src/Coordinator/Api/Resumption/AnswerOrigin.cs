using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Lamina.Coordinator.Api.Requests;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// What names an answer and what its tokens are drawn with. Under an <c>Idempotency-Key</c> both follow from caller, key and request, so that every coordinator of a cell
/// gives the same answer under the same id: one that lost its coordinator is computed again elsewhere, the same to the byte but for the time of its making.
/// </summary>
/// <param name="Seed">Where the request names none.</param>
internal sealed record AnswerOrigin(Guid Id, ulong Seed)
{
    /// <summary>Where the answer's tokens are noted; null when it is not kept.</summary>
    public AnswerCourse? Course { get; init; }

    public static AnswerOrigin Random() => new(Guid.NewGuid(), BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))));

    public static AnswerOrigin Of(Caller caller, string key, ReadOnlySpan<byte> requestHash)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AppendText(hash, caller.Tenant.Value);
        AppendText(hash, caller.Key ?? "");
        AppendText(hash, key);
        hash.AppendData(requestHash);
        ReadOnlySpan<byte> digest = hash.GetHashAndReset();
        return new AnswerOrigin(new Guid(digest[..16]), BinaryPrimitives.ReadUInt64LittleEndian(digest[16..]));
    }

    public GenerationOptions Seeded(GenerationOptions options) => options with { Seed = options.Seed ?? unchecked((long)Seed), Course = Course };

    /// <summary>Each part with its length, so that no two differ only in where one ends.</summary>
    private static void AppendText(IncrementalHash hash, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }
}
