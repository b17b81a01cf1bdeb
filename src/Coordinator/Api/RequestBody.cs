using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>A JSON request body, read whole within the size limit. It grows as its bytes arrive, and holds its room in the budget until it is disposed.</summary>
internal sealed class RequestBody : IDisposable
{
    /// <summary>Bytes that are made room for before any has arrived.</summary>
    private const int First = 4096;

    private readonly BodyBudget? _budget;
    private readonly TenantId _tenant;
    private byte[] _buffer;
    private int _length;
    private bool _disposed;

    private RequestBody(int size, BodyBudget? budget, TenantId tenant)
    {
        _buffer = new byte[size];
        _budget = budget;
        _tenant = tenant;
    }

    public ReadOnlyMemory<byte> Bytes => _buffer.AsMemory(0, _length);

    /// <summary>Without a budget, for administrators.</summary>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request)
    {
        using RequestBody body = await ReadAsync(request, null, default);
        return body.Bytes;
    }

    /// <summary>Throws <see cref="ApiException"/> when the body is no JSON, too large, or finds no room in the budget.</summary>
    public static async Task<RequestBody> ReadAsync(HttpRequest request, BodyBudget? budget, TenantId tenant)
    {
        if (!request.HasJsonContentType())
        {
            throw ApiError.UnsupportedMediaType().AsException();
        }

        if (request.ContentLength > ApiLimits.MaxBodyBytes)
        {
            throw ApiError.BodyTooLarge(ApiLimits.MaxBodyBytes).AsException();
        }

        var body = new RequestBody((int)Math.Min(request.ContentLength ?? First, First), budget, tenant);
        try
        {
            await body.FillAsync(request);
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _budget?.Return(_tenant, _buffer.Length);
        }
    }

    private async Task FillAsync(HttpRequest request)
    {
        // A byte more than is allowed tells a body that is too large.
        int most = (int)(request.ContentLength ?? ApiLimits.MaxBodyBytes + 1);
        while (_length < most)
        {
            if (_length == _buffer.Length)
            {
                Resize((int)Math.Min(_buffer.Length * 2L, most));
            }

            int read = await request.Body.ReadAsync(_buffer.AsMemory(_length), request.HttpContext.RequestAborted);
            if (read == 0)
            {
                break;
            }

            _length += read;
            if (_length > ApiLimits.MaxBodyBytes)
            {
                throw ApiError.BodyTooLarge(ApiLimits.MaxBodyBytes).AsException();
            }
        }

        if (_length < _buffer.Length)
        {
            // What is kept of it counts by its length.
            Resize(_length);
        }
    }

    private void Resize(int size)
    {
        switch (_budget?.Grow(_tenant, _buffer.Length, size))
        {
            case BodyRoom.TenantFull:
                throw ApiError.Overloaded("too many large requests of yours are being read; try again later").Unread().AsException();
            case BodyRoom.Full:
                throw ApiError.Busy("too many large requests are being read; try again later").Unread().AsException();
        }

        byte[] old = _buffer;
        _buffer = new byte[size];
        old.AsSpan(0, _length).CopyTo(_buffer);
        CryptographicOperations.ZeroMemory(old);
    }
}
