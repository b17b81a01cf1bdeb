using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;

namespace Lamina.Coordinator.Dashboard;

/// <summary>A browser that showed a key of the scope admin.</summary>
/// <param name="Csrf">What its page sends along with every change, and no other page knows.</param>
internal sealed record DashboardSession(string Csrf, string Key, TenantId? Tenant, DateTimeOffset Ends, DateTimeOffset LastSeen);

/// <summary>
/// Sessions of the dashboard, in memory: whoever signed in does so again after a restart. A session ends with its key, after eight hours, or half an hour after its last request.
/// </summary>
internal sealed class DashboardSessions(KeyRing ring, TimeProvider time)
{
    private const int MaxSessions = 256;
    private const int TokenBytes = 32;

    private static readonly TimeSpan s_longest = TimeSpan.FromHours(8);
    private static readonly TimeSpan s_idle = TimeSpan.FromMinutes(30);

    /// <summary>By the hash of the cookie: what is kept does not open a session.</summary>
    private readonly ConcurrentDictionary<string, DashboardSession> _sessions = new(StringComparer.Ordinal);

    /// <summary>Begins a session; the cookie's value is told once.</summary>
    public (string Cookie, DashboardSession Session) Begin(ApiKey key)
    {
        Sweep();
        while (_sessions.Count >= MaxSessions && _sessions.MinBy(pair => pair.Value.LastSeen) is { Key: { } oldest })
        {
            _sessions.TryRemove(oldest, out _);
        }

        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset ends = key.Expires is { } expires && expires < now + s_longest ? expires : now + s_longest;
        string cookie = RandomText();
        var session = new DashboardSession(RandomText(), key.Id, key.Tenant, ends, now);
        _sessions[HashOf(cookie)] = session;
        return (cookie, session);
    }

    /// <summary>The session of a cookie; null when it has none that still counts.</summary>
    public DashboardSession? Find(string? cookie)
    {
        if (cookie is null || cookie.Length > 2 * TokenBytes || !_sessions.TryGetValue(HashOf(cookie), out DashboardSession? session))
        {
            return null;
        }

        DateTimeOffset now = time.GetUtcNow();
        if (!IsAlive(session, now))
        {
            _sessions.TryRemove(HashOf(cookie), out _);
            return null;
        }

        DashboardSession seen = session with { LastSeen = now };
        _sessions.TryUpdate(HashOf(cookie), seen, session);
        return seen;
    }

    public void End(string cookie) => _sessions.TryRemove(HashOf(cookie), out _);

    /// <summary>Whether a change was sent by the session's own page.</summary>
    public static bool IsOwnPage(DashboardSession session, string? csrf) =>
        csrf is not null && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(csrf), Encoding.ASCII.GetBytes(session.Csrf));

    private bool IsAlive(DashboardSession session, DateTimeOffset now) => now < session.Ends && now - session.LastSeen < s_idle && ring.RefusalOf(session.Key, session.Tenant) is null;

    private void Sweep()
    {
        DateTimeOffset now = time.GetUtcNow();
        foreach (KeyValuePair<string, DashboardSession> pair in _sessions.Where(pair => !IsAlive(pair.Value, now)))
        {
            _sessions.TryRemove(pair);
        }
    }

    private static string RandomText() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));

    private static string HashOf(string cookie) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(cookie)));
}
