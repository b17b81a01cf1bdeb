using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Batches.Files;

/// <summary>A file on its way in; gone unless it is completed.</summary>
internal sealed class FileUpload : IAsyncDisposable
{
    private readonly FileStore _store;
    private readonly string _id;
    private readonly StoreFolder _folder;
    private readonly string _name;
    private readonly long _limit;
    private readonly FileStream _content;
    private long _bytes;
    private bool _completed;

    internal FileUpload(FileStore store, string id, StoreFolder folder, string name, long limit)
    {
        (_store, _id, _folder, _name, _limit) = (store, id, folder, name, limit);
        _content = folder.CreateNew(name, FileOptions.Asynchronous);
    }

    public async Task AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (_bytes + bytes.Length > _limit)
        {
            throw BatchErrors.FileTooLarge(_limit);
        }

        if (!_store.TryReserve(bytes.Length))
        {
            throw BatchErrors.StorageFull(_store.BytesAllowed);
        }

        _bytes += bytes.Length;
        await _content.WriteAsync(bytes, cancellation);
    }

    /// <param name="expiresAfter">Seconds that the file is kept; null as long as the server's options say.</param>
    public async Task<StoredFile> CompleteAsync(string name, long? expiresAfter, CancellationToken cancellation)
    {
        await _content.FlushAsync(cancellation);
        _content.Flush(flushToDisk: true);
        await _content.DisposeAsync();
        StoredFile file = _store.Complete(_name, _id, name, _bytes, expiresAfter);
        _completed = true;
        return file;
    }

    public async ValueTask DisposeAsync()
    {
        await _content.DisposeAsync();
        if (!_completed)
        {
            _folder.Delete(_name);
            _store.Unreserve(_bytes);
        }
    }
}
