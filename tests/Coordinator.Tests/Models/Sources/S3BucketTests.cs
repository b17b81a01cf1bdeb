using Lamina.Coordinator.Models.Sources;

namespace Lamina.Coordinator.Tests.Models.Sources;

public sealed class S3BucketTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-s3-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The example "GET Object" of Amazon's documentation of signature version 4, with its published signature.</summary>
    [Fact]
    public void Authorize_PublishedExample_GivesItsSignature()
    {
        S3Bucket bucket = Bucket("us-east-1", null);
        Uri address = bucket.AddressOf(new Uri("s3://examplebucket/test.txt"));
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://examplebucket.s3.amazonaws.com/test.txt");
        bucket.Authorize(request, new DateTimeOffset(2013, 5, 24, 0, 0, 0, TimeSpan.Zero), ("range", "bytes=0-9"));

        Assert.Equal("https://examplebucket.s3.us-east-1.amazonaws.com/test.txt", address.AbsoluteUri);
        Assert.Equal(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            Assert.Single(request.Headers.NonValidated["Authorization"]));
    }

    [Theory]
    [InlineData("s3://models/a b/c+d.gguf", "https://store.example:9000/models/a%20b/c%2Bd.gguf")]
    [InlineData("s3://models/m.gguf", "https://store.example:9000/models/m.gguf")]
    public void AddressOf_OwnEndpoint_EncodesTheKey(string source, string expected) =>
        Assert.Equal(expected, Bucket("eu", "store.example:9000").AddressOf(new Uri(source)).AbsoluteUri);

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("s3://models/")]
    [InlineData("s3://models/m?versionId=1")]
    [InlineData("https://models/m")]
    public void AddressOf_NoObject_IsRefused(string source) => Assert.Throws<ArgumentException>(() => Bucket("eu", null).AddressOf(new Uri(source)));

    private S3Bucket Bucket(string region, string? endpoint)
    {
        string access = Path.Combine(_folder, "access"), secret = Path.Combine(_folder, "secret");
        // Amazon's documented example credentials.
        File.WriteAllText(access, "AKIAIOSFODNN7EXAMPLE\n");
        File.WriteAllText(secret, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n");
        return new S3Bucket(region, endpoint, access, secret);
    }
}
