using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using Lamina.Coordinator.Models.Sources;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Models.Sources;

/// <summary>A model source that does what hostile registries did to others: each gets a sentence, in bounded time and memory, and leaves no file.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class HttpsDownloadTests : IDisposable
{
    private static readonly byte[] s_file = RandomNumberGenerator.GetBytes(200_000);
    private static readonly byte[] s_bomb = Bomb();
    private static readonly string s_sha256 = Convert.ToHexStringLower(SHA256.HashData(s_file));

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-download-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Fetch_HonestSource_SavesTheFileForItsOwnerAlone()
    {
        using var source = new EvilSource(_folder, AnswerAsync);
        string path = await FetchAsync(source, "honest");
        Assert.Equal(s_file, await File.ReadAllBytesAsync(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(s_file, await File.ReadAllBytesAsync(await FetchAsync(source, "moved-within")));
    }

    [Trait("Attack", "D2")]
    [Theory]
    [InlineData("endless", "does not say how large")]
    [InlineData("too-large", "offers 9000000000000 bytes")]
    [InlineData("negative", "")]
    [InlineData("short", "of 200000 bytes")]
    [InlineData("last-byte", "expected")]
    [InlineData("compressed", "compressed (gzip)")]
    [InlineData("chunked", "does not say how large")]
    [InlineData("to-metadata", "redirects to another origin, http://169.254.169.254")]
    [InlineData("to-plain", "redirects to another origin, http://127.0.0.1")]
    [InlineData("in-circles", "redirects more than 3 times")]
    [InlineData("silent", "within 3 s")]
    [InlineData("silent-later", "sent nothing for 3 s")]
    [InlineData("dripping", "fewer than 100000 bytes a second")]
    [InlineData("refused", "status 404")]
    [InlineData("huge-headers", "")]
    public async Task Fetch_HostileSource_IsASentenceAndLeavesNothing(string behaviour, string expected)
    {
        using var source = new EvilSource(_folder, AnswerAsync);
        long started = Stopwatch.GetTimestamp();
        Assert.NotEmpty(s_bomb);
        long before = GC.GetTotalAllocatedBytes();
        IOException refusal = await Assert.ThrowsAsync<IOException>(() => FetchAsync(source, behaviour));
        Assert.Contains(expected, refusal.Message, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 40);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 64 << 20);
        Assert.Equal(["authority.pem"], Directory.EnumerateFiles(_folder).Select(Path.GetFileName));
    }

    [Trait("Attack", "D2")]
    [Fact]
    public async Task Fetch_CertificateOfAnotherAuthority_IsRefusedAndNothingIsAsked()
    {
        using var source = new EvilSource(_folder, AnswerAsync);
        using var download = new HttpsDownload(new DownloadLimits { MaxBytes = 1 << 20 }, authorityPath: null);
        await Assert.ThrowsAsync<IOException>(() => download.FetchAsync(source.Address("honest"), s_sha256, Path.Combine(_folder, "m"), null, null, CancellationToken.None));
        Assert.Empty(source.Requests);
    }

    [Trait("Attack", "D2")]
    [Theory]
    [InlineData("http://127.0.0.1/m")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://user:secret@127.0.0.1/m")]
    public async Task Fetch_AddressThatIsNotPlainHttps_IsRefused(string address)
    {
        using var download = new HttpsDownload(new DownloadLimits { MaxBytes = 1 << 20 }, authorityPath: null);
        ArgumentException refusal = await Assert.ThrowsAsync<ArgumentException>(() => download.FetchAsync(new Uri(address), s_sha256, Path.Combine(_folder, "m"), null, null, CancellationToken.None));
        Assert.DoesNotContain("secret", refusal.Message, StringComparison.Ordinal);
    }

    private async Task<string> FetchAsync(EvilSource source, string path)
    {
        var limits = new DownloadLimits { MaxBytes = 1 << 20, Silence = TimeSpan.FromSeconds(3), LeastBytesPerSecond = 100_000 };
        using var download = new HttpsDownload(limits, source.AuthorityPath);
        string destination = Path.Combine(_folder, "model.gguf");
        await download.FetchAsync(source.Address(path), s_sha256, destination, null, null, CancellationToken.None);
        return destination;
    }

    private static async Task AnswerAsync(string path, Stream stream, CancellationToken ending)
    {
        string length = $"Content-Length: {s_file.Length}\r\n";
        switch (path)
        {
            case "honest":
                await EvilSource.WriteAsync(stream, "200 OK", length, s_file);
                break;
            case "moved-within":
                await EvilSource.WriteAsync(stream, "302 Found", "Location: /honest\r\nContent-Length: 0\r\nConnection: close\r\n", default);
                break;
            case "endless":
                await EvilSource.WriteAsync(stream, "200 OK", "", default);
                while (!ending.IsCancellationRequested)
                {
                    await stream.WriteAsync(s_file, ending);
                }

                break;
            case "too-large":
                await EvilSource.WriteAsync(stream, "200 OK", "Content-Length: 9000000000000\r\n", s_file);
                break;
            case "negative":
                await EvilSource.WriteAsync(stream, "200 OK", "Content-Length: -1\r\n", s_file);
                break;
            case "short":
                await EvilSource.WriteAsync(stream, "200 OK", length, s_file.AsMemory(0, 1000));
                break;
            case "last-byte":
                byte[] altered = [.. s_file];
                altered[^1] ^= 1;
                await EvilSource.WriteAsync(stream, "200 OK", length, altered);
                break;
            case "compressed":
                await EvilSource.WriteAsync(stream, "200 OK", $"Content-Encoding: gzip\r\nContent-Length: {s_bomb.Length}\r\n", s_bomb);
                break;
            case "chunked":
                await EvilSource.WriteAsync(stream, "200 OK", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"u8.ToArray());
                break;
            case "to-metadata":
                await EvilSource.WriteAsync(stream, "302 Found", "Location: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n", default);
                break;
            case "to-plain":
                await EvilSource.WriteAsync(stream, "307 Temporary Redirect", "Location: http://127.0.0.1/honest\r\nContent-Length: 0\r\n", default);
                break;
            case "in-circles":
                await EvilSource.WriteAsync(stream, "301 Moved Permanently", "Location: /in-circles\r\nContent-Length: 0\r\nConnection: close\r\n", default);
                break;
            case "silent":
                await Task.Delay(Timeout.Infinite, ending);
                break;
            case "silent-later":
                await EvilSource.WriteAsync(stream, "200 OK", length, s_file.AsMemory(0, 1000));
                await Task.Delay(Timeout.Infinite, ending);
                break;
            case "dripping":
                await EvilSource.WriteAsync(stream, "200 OK", length, default);
                for (int i = 0; i < s_file.Length; i += 100)
                {
                    await stream.WriteAsync(s_file.AsMemory(i, 100), ending);
                    await Task.Delay(50, ending);
                }

                break;
            case "huge-headers":
                await EvilSource.WriteAsync(stream, "200 OK", length + string.Concat(Enumerable.Range(0, 2000).Select(i => $"X-Padding-{i}: {new string('x', 1000)}\r\n")), s_file);
                break;
            default:
                await EvilSource.WriteAsync(stream, "404 Not Found", "Content-Length: 0\r\n", default);
                break;
        }
    }

    private static byte[] Bomb()
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(new byte[100 << 20]);
        }

        return compressed.ToArray();
    }
}
