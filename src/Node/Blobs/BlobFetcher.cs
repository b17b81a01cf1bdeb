using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Node.Stages;

namespace Lamina.Node.Blobs;

/// <summary>Brings blobs into the cache from the first source that has them, going on where a broken transfer stopped.</summary>
internal sealed class BlobFetcher(BlobCache cache, TenantId tenant, LinkOptions options, CertificateProvider certificates)
{
    private const int Window = 8;
    private const int Rounds = 2;

    private static readonly TimeSpan s_stallLimit = TimeSpan.FromSeconds(15);

    /// <summary>One fetch at a time: two stages that want the same blob do not pull it twice.</summary>
    private readonly SemaphoreSlim _turn = new(1);

    /// <param name="progress">Called with bytes received of those wanted, after each change, from any thread.</param>
    /// <exception cref="StageFault">No source gave all of them; the reason names each source's.</exception>
    public async Task FetchAsync(IReadOnlyCollection<BlobWanted> wanted, IReadOnlyList<Endpoint> sources, Action<long>? progress, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            await FetchMissingAsync(wanted, sources, progress, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task FetchMissingAsync(IReadOnlyCollection<BlobWanted> wanted, IReadOnlyList<Endpoint> sources, Action<long>? progress, CancellationToken cancellation)
    {
        List<BlobWanted> missing = Missing(wanted);
        cache.RequireRoom(missing.Sum(b => b.Length ?? 0));
        var problems = new List<string>();
        StageFailure failure = StageFailure.NotFound;
        foreach (Endpoint source in Enumerable.Repeat(sources, Rounds).SelectMany(s => s))
        {
            if (missing.Count == 0)
            {
                return;
            }

            try
            {
                using BlobClient client = await BlobClient.DialAsync(source, tenant, options, certificates, cancellation).ConfigureAwait(false);
                await FetchFromAsync(client, missing, progress, cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or InvalidDataException or TimeoutException)
            {
                failure = e is InvalidDataException ? StageFailure.Corrupt : failure;
                problems.Add($"{source}: {e.Message}");
            }

            missing = Missing(missing);
        }

        if (missing.Count > 0)
        {
            string reasons = problems.Count == 0 ? "no source was named" : string.Join("; ", problems.Distinct());
            throw new StageFault(failure, $"{missing.Count} blobs could not be fetched, the first {missing[0].Digest} ({reasons})");
        }
    }

    private async Task FetchFromAsync(BlobClient client, List<BlobWanted> missing, Action<long>? progress, CancellationToken cancellation)
    {
        var open = new Queue<(BlobDownload Download, Task Done)>();
        Exception? refusal = null;
        int next = 0;
        try
        {
            while (next < missing.Count || open.Count > 0)
            {
                while (next < missing.Count && open.Count < Window)
                {
                    BlobWanted blob = missing[next++];
                    var download = new BlobDownload(cache, blob.Digest, blob.Length, blob.Limit);
                    open.Enqueue((download, client.GetAsync(download)));
                }

                (BlobDownload oldest, Task done) = open.Peek();
                try
                {
                    await WaitAsync(client, done, progress, cancellation).ConfigureAwait(false);
                }
                catch (FileNotFoundException e)
                {
                    // This source lacks one blob; it may have the others.
                    refusal = e;
                }

                open.Dequeue();
                oldest.Dispose();
            }
        }
        finally
        {
            // The link's thread writes into the downloads: it must be done with them before they are closed.
            client.Dispose();
            foreach ((BlobDownload download, Task done) in open)
            {
                await done.ContinueWith(_ => { }, TaskScheduler.Default).ConfigureAwait(false);
                download.Dispose();
            }
        }

        if (refusal is not null)
        {
            throw refusal;
        }
    }

    private static async Task WaitAsync(BlobClient client, Task done, Action<long>? progress, CancellationToken cancellation)
    {
        long seen = client.Received;
        var moved = System.Diagnostics.Stopwatch.StartNew();
        while (!done.IsCompleted)
        {
            await Task.WhenAny(done, Task.Delay(100, cancellation)).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            long received = client.Received;
            if (received != seen)
            {
                seen = received;
                moved.Restart();
                progress?.Invoke(received);
            }
            else if (moved.Elapsed > s_stallLimit)
            {
                throw new TimeoutException($"nothing came for {s_stallLimit.TotalSeconds:0} s");
            }
        }

        await done.ConfigureAwait(false);
    }

    private List<BlobWanted> Missing(IEnumerable<BlobWanted> wanted) =>
        [.. wanted.DistinctBy(b => b.Digest).Where(b => b.Length is { } length ? !cache.Contains(b.Digest, length) : !cache.Holds(b.Digest))];
}

/// <summary>A blob to fetch: its length where known, else the most it may have.</summary>
internal readonly record struct BlobWanted(BlobDigest Digest, long? Length, long Limit)
{
    public static BlobWanted Exactly(string digest, long length) => new(BlobDigest.Parse(digest), length, length);

    public static BlobWanted AtMost(BlobDigest digest, long limit) => new(digest, null, limit);
}
