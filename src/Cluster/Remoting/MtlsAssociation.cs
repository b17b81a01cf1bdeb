using System.Buffers.Binary;
using System.Threading.Channels;
using Akka.Actor;
using Akka.Remote.Transport;
using Google.Protobuf;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>
/// One association on one connection: frames of a 4-byte little-endian length and an Akka protocol unit. A bounded queue stands between Akka and the socket, and a full one
/// tells Akka so; a peer that takes no data is cut.
/// </summary>
internal sealed class MtlsAssociation : AssociationHandle
{
    // Akka's limit is on the message; its envelope comes on top.
    private const int EnvelopeBytes = 4096;
    private const int BufferBytes = 64 * 1024;

    private readonly MtlsConnection _connection;
    private readonly MtlsOptions _options;
    private readonly (string System, Endpoint Endpoint) _origin;
    private readonly Func<Endpoint, PeerRole?> _roleAt;
    private readonly Action<MtlsAssociation, string> _ended;
    private readonly Channel<ByteString> _outgoing = Channel.CreateUnbounded<ByteString>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _aborted = new();
    private readonly long _openedAt = Environment.TickCount64;
    private int _pendingBytes;
    private string? _reason;

    /// <param name="roleAt">The role that a certificate has proven for an address.</param>
    /// <param name="ended">Called once, with the reason, when the connection is gone.</param>
    public MtlsAssociation(Address local, Address remote, MtlsConnection connection, MtlsOptions options, Func<Endpoint, PeerRole?> roleAt, Action<MtlsAssociation, string> ended)
        : base(local, remote)
    {
        _connection = connection;
        _options = options;
        _origin = (remote.System, new Endpoint(remote.Host, remote.Port!.Value));
        _roleAt = roleAt;
        _ended = ended;
        ReadHandlerSource = new TaskCompletionSource<IHandleEventListener>(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>The peer sent what no sound peer sends.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Identity in the peer's certificate.</summary>
    public PeerIdentity Peer => _connection.Peer;

    public bool IsDenied => _connection.IsDenied;

    public bool IsOlderThan(TimeSpan age) => Environment.TickCount64 - _openedAt > age.TotalMilliseconds;

    public Task Completed { get; private set; } = Task.CompletedTask;

    public void Start() => Completed = RunAsync();

    public override bool Write(ByteString payload)
    {
        if (payload.Length > _options.MaxMessageBytes + EnvelopeBytes)
        {
            // Akka has checked the message itself; dropping is what its contract allows.
            return true;
        }

        if (Interlocked.Add(ref _pendingBytes, payload.Length) - payload.Length > _options.MaxPendingBytes || !_outgoing.Writer.TryWrite(payload))
        {
            Interlocked.Add(ref _pendingBytes, -payload.Length);
            return false;
        }

        return true;
    }

    [Obsolete("Akka's signature; called by the overload that states a reason.")]
    public override void Disassociate() => Close("disassociated");

    /// <summary>Sends what is queued and closes.</summary>
    public void Close(string reason)
    {
        Interlocked.CompareExchange(ref _reason, reason, null);
        _outgoing.Writer.TryComplete();
    }

    /// <summary>Closes without sending what is queued.</summary>
    public void Abort(string reason)
    {
        Close(reason);
        _aborted.Cancel();
    }

    private async Task RunAsync()
    {
        Task reading = ReadAllAsync(), writing = WriteAllAsync();
        await Task.WhenAny(reading, writing).ConfigureAwait(false);
        if (writing.IsCompletedSuccessfully && !reading.IsCompleted)
        {
            // Everything is sent: let the peer read it before the socket goes.
            ShutdownSend();
            await Task.WhenAny(reading, Task.Delay(TimeSpan.FromSeconds(1))).ConfigureAwait(false);
        }

        await _aborted.CancelAsync().ConfigureAwait(false);
        _outgoing.Writer.TryComplete();
        _connection.Dispose();
        await Task.WhenAll(reading, writing).ContinueWith(_ => { }, TaskScheduler.Default).ConfigureAwait(false);

        IsBroken = reading.Exception?.InnerException is InvalidDataException;

        // What failed tells more than what was cancelled because of it.
        string reason = _reason ?? (reading.Exception ?? writing.Exception) switch
        {
            { InnerException: { } error } => LinkText.Describe(error),
            _ => "closed by the peer",
        };
        _ended(this, reason);
        if (ReadHandlerSource.Task.IsCompletedSuccessfully)
        {
            ReadHandlerSource.Task.Result.Notify(new Disassociated(DisassociateInfo.Unknown));
        }

        _aborted.Dispose();
    }

    private void ShutdownSend()
    {
        try
        {
            _connection.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ReadAllAsync()
    {
        IHandleEventListener listener = await ReadHandlerSource.Task.WaitAsync(_aborted.Token).ConfigureAwait(false);
        byte[] buffer = new byte[BufferBytes];
        int filled = 0;
        while (true)
        {
            int read = await _connection.Stream.ReadAsync(buffer.AsMemory(filled), _aborted.Token).ConfigureAwait(false);
            if (read == 0)
            {
                return;
            }

            filled += read;
            int start = 0;
            while (filled - start >= sizeof(int))
            {
                uint length = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(start));
                if (length == 0 || length > _options.MaxMessageBytes + EnvelopeBytes)
                {
                    throw new InvalidDataException($"frame of {length} bytes is not between 1 and {_options.MaxMessageBytes + EnvelopeBytes}");
                }

                if (filled - start - sizeof(int) < length)
                {
                    break;
                }

                ReadOnlyMemory<byte> unit = buffer.AsMemory(start + sizeof(int), (int)length);
                Check(unit.Span);
                listener.Notify(new InboundPayload(ByteString.CopyFrom(unit.Span)));
                start += sizeof(int) + (int)length;
            }

            buffer.AsSpan(start, filled - start).CopyTo(buffer);
            filled -= start;
            if (filled == buffer.Length)
            {
                // The frame under way is larger than the buffer, and within the limit as just checked.
                Array.Resize(ref buffer, sizeof(int) + _options.MaxMessageBytes + EnvelopeBytes);
            }
        }
    }

    /// <summary>Every ASSOCIATE must name the address that the certificate was tied to, and every message must be one that the certificate's role may send.</summary>
    private void Check(ReadOnlySpan<byte> unit)
    {
        if (!AssociateOrigin.TryRead(unit, out (string System, Endpoint Endpoint)? origin))
        {
            throw new InvalidDataException("the peer sent something that is no Akka protocol unit");
        }

        if (origin is { } claimed && claimed != _origin)
        {
            _connection.Count(RefusalReason.Address);
            throw new InvalidDataException($"{_connection.Peer.Name} at {_origin.Endpoint} claims to be {claimed.System}@{claimed.Endpoint}");
        }

        if (!EnvelopeRule.Allows(_connection.Peer, _origin.Endpoint, _roleAt, unit))
        {
            _connection.Count(RefusalReason.Role);
            throw new InvalidDataException($"{_connection.Peer.Name} sent what a {PeerIdentity.RoleName(_connection.Peer.Role)} may not send");
        }
    }

    private async Task WriteAllAsync()
    {
        byte[] buffer = new byte[BufferBytes];
        while (await _outgoing.Reader.WaitToReadAsync(_aborted.Token).ConfigureAwait(false))
        {
            int filled = 0;
            while (_outgoing.Reader.TryPeek(out ByteString? payload) && (filled == 0 || filled + sizeof(int) + payload.Length <= buffer.Length))
            {
                _outgoing.Reader.TryRead(out _);
                if (sizeof(int) + payload.Length > buffer.Length)
                {
                    Array.Resize(ref buffer, sizeof(int) + _options.MaxMessageBytes + EnvelopeBytes);
                }

                BinaryPrimitives.WriteInt32LittleEndian(buffer.AsSpan(filled), payload.Length);
                payload.Span.CopyTo(buffer.AsSpan(filled + sizeof(int)));
                filled += sizeof(int) + payload.Length;
                Interlocked.Add(ref _pendingBytes, -payload.Length);
            }

            using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(_aborted.Token);
            deadline.CancelAfter(_options.SendDeadline);
            try
            {
                await _connection.Stream.WriteAsync(buffer.AsMemory(0, filled), deadline.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!_aborted.IsCancellationRequested)
            {
                throw new TimeoutException($"the peer took no data for {_options.SendDeadline.TotalSeconds:0.###} s");
            }
        }
    }
}
