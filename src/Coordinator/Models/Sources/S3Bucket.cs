using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.Models.Sources;

/// <summary>Objects of an S3-compatible store: their addresses, and requests signed with version 4 of Amazon's scheme. The secret comes from a file and leaves only as signatures.</summary>
public sealed class S3Bucket
{
    private const string NoBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private readonly string _region;
    private readonly string? _endpoint;
    private readonly string? _accessKey;
    private readonly byte[] _secret;

    /// <param name="endpoint">Host (and port) of the store; null = Amazon's of the region.</param>
    /// <param name="accessKeyPath">File with the access key's id; null with <paramref name="secretKeyPath"/> reads public buckets.</param>
    public S3Bucket(string region, string? endpoint, string? accessKeyPath, string? secretKeyPath)
    {
        if (accessKeyPath is null != secretKeyPath is null)
        {
            throw new ArgumentException("an access key and its secret belong together: give the files of both, or of neither");
        }

        _region = region;
        _endpoint = endpoint;
        _accessKey = accessKeyPath is null ? null : File.ReadAllText(accessKeyPath).Trim();
        _secret = secretKeyPath is null ? [] : Encoding.UTF8.GetBytes("AWS4" + File.ReadAllText(secretKeyPath).Trim());
    }

    /// <summary>HTTPS address of <c>s3://bucket/key</c>.</summary>
    public Uri AddressOf(Uri source)
    {
        string bucket = source.Host;
        string key = Uri.UnescapeDataString(source.AbsolutePath.TrimStart('/'));
        if (source.Scheme != "s3" || key.Length == 0 || source.Query.Length > 0)
        {
            throw new ArgumentException($"a bucket's object is named s3://bucket/key, found {source.OriginalString}");
        }

        string path = string.Join('/', key.Split('/').Select(Encode));
        return new Uri(_endpoint is null ? $"https://{bucket}.s3.{_region}.amazonaws.com/{path}" : $"https://{_endpoint}/{bucket}/{path}");
    }

    public void Authorize(HttpRequestMessage request) => Authorize(request, DateTimeOffset.UtcNow);

    internal void Authorize(HttpRequestMessage request, DateTimeOffset now, params (string Name, string Value)[] more)
    {
        if (_accessKey is null)
        {
            return;
        }

        string time = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        string day = time[..8];
        Uri uri = request.RequestUri!;
        (string Name, string Value)[] signed =
            [.. more.Append(("host", uri.IsDefaultPort ? uri.Host : $"{uri.Host}:{uri.Port}")).Append(("x-amz-content-sha256", NoBody)).Append(("x-amz-date", time)).OrderBy(header => header.Item1, StringComparer.Ordinal)];
        string names = string.Join(';', signed.Select(header => header.Name));
        string canonical = $"{request.Method}\n{uri.AbsolutePath}\n\n{string.Concat(signed.Select(header => $"{header.Name}:{header.Value}\n"))}\n{names}\n{NoBody}";
        string scope = $"{day}/{_region}/s3/aws4_request";
        string text = $"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        byte[] key = new[] { day, _region, "s3", "aws4_request" }.Aggregate(_secret, (secret, part) => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(part)));
        string signature = Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", NoBody);
        request.Headers.TryAddWithoutValidation("x-amz-date", time);
        request.Headers.TryAddWithoutValidation("Authorization", $"AWS4-HMAC-SHA256 Credential={_accessKey}/{scope},SignedHeaders={names},Signature={signature}");
    }

    /// <summary>Percent-encoding as the scheme wants it: everything but letters, digits and <c>-._~</c>.</summary>
    private static string Encode(string segment) => Uri.EscapeDataString(segment);
}
