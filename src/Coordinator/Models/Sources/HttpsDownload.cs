using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Coordinator.Models.Sources;

/// <summary>
/// Fetches one file over HTTPS from a source that may be hostile: its size is known and bounded before the first byte is kept, its hash is known before it starts, no
/// redirect leads to another origin, nothing is decompressed, and a source that drips is given up. Nothing is left behind unless all of it is right.
/// </summary>
public sealed class HttpsDownload : IDisposable
{
    private const int MaxRedirects = 3;

    private readonly HttpClient _client;
    private readonly DownloadLimits _limits;

    /// <param name="authorityPath">PEM file of the authorities that the source's certificate may come from; null = the system's.</param>
    public HttpsDownload(DownloadLimits limits, string? authorityPath)
    {
        _limits = limits;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            ConnectTimeout = limits.Silence,
            MaxResponseHeadersLength = 64,
            SslOptions = new SslClientAuthenticationOptions { CertificateRevocationCheckMode = X509RevocationMode.NoCheck },
        };
        if (authorityPath is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(authorityPath);
            handler.SslOptions.CertificateChainPolicy = policy;
        }

        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <param name="sha256">What the file must have, 64 lower-case hexadecimal digits.</param>
    /// <param name="authorize">Adds credentials to a request to the source's own origin; null = none.</param>
    /// <exception cref="IOException">One sentence: what the source did.</exception>
    public async Task FetchAsync(Uri source, string sha256, string destination, Action<HttpRequestMessage>? authorize, Action<long, long>? progress, CancellationToken cancellation)
    {
        RequireHttps(source);
        string partial = $"{destination}.{Guid.NewGuid():N}.partial";
        try
        {
            using HttpResponseMessage response = await RequestAsync(source, authorize, cancellation);
            long length = Length(response, Path.GetDirectoryName(Path.GetFullPath(destination))!);
            string found = await SaveAsync(response, length, partial, progress, cancellation);
            if (!CryptographicOperations.FixedTimeEquals(Convert.FromHexString(found), Convert.FromHexString(sha256)))
            {
                throw new IOException($"the file from {source.Host} has SHA-256 {found}, expected {sha256}");
            }

            File.Move(partial, destination, overwrite: true);
        }
        catch (HttpRequestException e)
        {
            throw new IOException($"{source.Host} cannot be asked for the model: {e.Message}{(e.InnerException is { } inner ? " " + inner.Message : "")}", e);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<HttpResponseMessage> RequestAsync(Uri source, Action<HttpRequestMessage>? authorize, CancellationToken cancellation)
    {
        Uri at = source;
        for (int redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, at);
            request.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
            authorize?.Invoke(request);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(_limits.Silence);
            HttpResponseMessage response;
            try
            {
                response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new IOException($"{source.Host} did not answer within {_limits.Silence.TotalSeconds} s");
            }

            if (response.StatusCode == HttpStatusCode.OK)
            {
                return response;
            }

            using (response)
            {
                at = (int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location
                    ? Redirected(source, new Uri(at, location), redirects)
                    : throw new IOException($"{source.Host} answered with status {(int)response.StatusCode}, expected 200");
            }
        }
    }

    private static Uri Redirected(Uri source, Uri target, int redirects) =>
        target.Scheme != source.Scheme || target.Host != source.Host || target.Port != source.Port
            ? throw new IOException($"{source.Host} redirects to another origin, {target.Scheme}://{target.Authority}: name the file's own address instead")
        : redirects >= MaxRedirects ? throw new IOException($"{source.Host} redirects more than {MaxRedirects} times")
        : target;

    private long Length(HttpResponseMessage response, string folder)
    {
        string host = response.RequestMessage!.RequestUri!.Host;
        if (response.Content.Headers.ContentEncoding.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
        {
            throw new IOException($"{host} sends the file compressed ({string.Join(", ", response.Content.Headers.ContentEncoding)}): its size would be unknown");
        }

        long length = response.Content.Headers.ContentLength ?? throw new IOException($"{host} does not say how large the file is");
        if (length <= 0 || length > _limits.MaxBytes)
        {
            throw new IOException($"{host} offers {length} bytes, expected 1 to {_limits.MaxBytes}");
        }

        long free = new DriveInfo(folder).AvailableFreeSpace;
        return length <= free ? length : throw new IOException($"the file has {length} bytes, {free} are free in {folder}");
    }

    /// <returns>The hash of what was written: exactly the bytes that were announced.</returns>
    private async Task<string> SaveAsync(HttpResponseMessage response, long length, string path, Action<long, long>? progress, CancellationToken cancellation)
    {
        string host = response.RequestMessage!.RequestUri!.Host;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
        await using FileStream file = Create(path);
        byte[] buffer = new byte[1 << 20];
        long done = 0;
        long started = Stopwatch.GetTimestamp();
        while (done < length)
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(_limits.Silence);
            int read;
            try
            {
                read = await body.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, length - done)), deadline.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new IOException($"{host} sent nothing for {_limits.Silence.TotalSeconds} s");
            }
            catch (HttpIOException)
            {
                read = 0;
            }

            if (read == 0)
            {
                throw new IOException($"{host} ended after {done} of {length} bytes");
            }

            hash.AppendData(buffer, 0, read);
            await file.WriteAsync(buffer.AsMemory(0, read), cancellation);
            done += read;
            progress?.Invoke(done, length);
            TimeSpan elapsed = Stopwatch.GetElapsedTime(started);
            if (elapsed > _limits.Silence && done < elapsed.TotalSeconds * _limits.LeastBytesPerSecond && done < length)
            {
                throw new IOException($"{host} sends fewer than {_limits.LeastBytesPerSecond} bytes a second");
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static FileStream Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(path, options);
    }

    private static void RequireHttps(Uri source)
    {
        if (source.Scheme != Uri.UriSchemeHttps || source.UserInfo.Length > 0)
        {
            throw new ArgumentException($"a model's address must begin with https:// and hold no credentials, found {source.Scheme}://{source.Host}");
        }
    }
}
