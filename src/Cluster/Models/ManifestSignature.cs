using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Cluster.Models;

/// <summary>
/// Somebody's word for a model: an ECDSA P-256 signature over its digest, which names all of its bytes. Kept as one small JSON file beside a model file or in a store.
/// </summary>
/// <param name="Digest">The model's digest, that of its manifest.</param>
/// <param name="KeyId">First 16 hexadecimal digits of the SHA-256 of the public key; tells which key to try, and proves nothing.</param>
/// <param name="Value">Base64 of the signature, r and s of 32 bytes each.</param>
public sealed record ManifestSignature(string Algorithm, string Digest, string KeyId, string Value)
{
    public const string EcdsaP256 = "ecdsa-p256-sha256";
    public const int MaxBytes = 4096;
    private const string Curve = "1.2.840.10045.3.1.7";

    public static ManifestSignature Sign(BlobDigest digest, ECDsa key)
    {
        RequireP256(key, "the signing key");
        return new ManifestSignature(EcdsaP256, digest.ToString(), KeyIdOf(key), Convert.ToBase64String(key.SignData(Message(digest.ToString()), HashAlgorithmName.SHA256)));
    }

    /// <summary>True when the key's owner signed exactly this digest.</summary>
    public bool IsValid(BlobDigest digest, ECDsa key)
    {
        Span<byte> signature = stackalloc byte[64];
        return Algorithm == EcdsaP256 && Digest == digest.ToString() && KeyId == KeyIdOf(key)
            && Convert.TryFromBase64String(Value, signature, out int length) && length == signature.Length && Convert.ToBase64String(signature) == Value
            && key.VerifyData(Message(Digest), signature, HashAlgorithmName.SHA256);
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, SignatureJson.Default.ManifestSignature);

    /// <summary>Throws <see cref="InvalidDataException"/> when the bytes are no signature file.</summary>
    public static ManifestSignature Parse(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return bytes.Length <= MaxBytes && JsonSerializer.Deserialize(bytes, SignatureJson.Default.ManifestSignature) is { } signature
                ? signature
                : throw new InvalidDataException($"a signature file of {bytes.Length} bytes, expected one JSON object of at most {MaxBytes}");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"the signature file is not valid: line {e.LineNumber}, byte {e.BytePositionInLine}", e);
        }
    }

    /// <summary>Reads a public or private P-256 key from PEM. Throws <see cref="InvalidDataException"/> saying what is wrong with it.</summary>
    public static ECDsa ReadKey(string path)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(path));
            RequireP256(key, path);
            return key;
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            key.Dispose();
            throw new InvalidDataException($"{path} holds no key in PEM: {e.Message}", e);
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    public static string KeyIdOf(ECDsa key) => Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()))[..16];

    /// <summary>What is signed: a sentence that no other use of the key would sign.</summary>
    private static byte[] Message(string digest) => Encoding.ASCII.GetBytes($"lamina model signature v1\n{digest}\n");

    private static void RequireP256(ECDsa key, string what)
    {
        if (key.ExportParameters(includePrivateParameters: false).Curve.Oid.Value is var curve && curve != Curve && key.KeySize != 256)
        {
            throw new InvalidDataException($"{what} is on another curve ({curve}), expected P-256");
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 2)]
[JsonSerializable(typeof(ManifestSignature))]
internal sealed partial class SignatureJson : JsonSerializerContext;
