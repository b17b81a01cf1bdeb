using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Tests.Access;

public class KeyRingTests
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    /// <summary>A newer coordinator may know a scope that this one does not: the key has what is known of it, and keeps no revocation from being noticed.</summary>
    [Fact]
    public async Task Refresh_KeyWithAScopeOfANewerVersion_GrantsTheRestAndGoesOn()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey newer = await state.NewKeyAsync(TestState.Alpha), other = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();
        await state.Database.RunAsync(context => context.Keys.Where(row => row.Id == newer.Key.Id).ExecuteUpdateAsync(set => set.SetProperty(row => row.Scopes, "training,usage")), CancellationToken.None);
        await state.Keys.RevokeAsync(other.Key.Id, null, CancellationToken.None);
        await ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(KeyScopes.Usage, ring.Authenticate(newer.Text).Key!.Scopes);
        Assert.Equal(KeyRefusal.Revoked, ring.Authenticate(other.Text).Refusal);
    }

    [Fact]
    public async Task Authenticate_AKey_GivesItsTenantAndScopes()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha, KeyScopes.Inference | KeyScopes.Usage);
        KeyRing ring = await state.OpenRingAsync();

        (ApiKey? key, KeyRefusal? refusal) = ring.Authenticate(made.Text);

        Assert.Null(refusal);
        Assert.Equal((TestState.Alpha, made.Key.Id, KeyScopes.Inference | KeyScopes.Usage), (key!.Tenant!.Value, key.Id, key.Scopes));
    }

    [Fact]
    public async Task Authenticate_AnyCharacterChanged_IsUnknown()
    {
        await using TestState state = await TestState.CreateAsync();
        string text = (await state.NewKeyAsync(TestState.Alpha)).Text;
        KeyRing ring = await state.OpenRingAsync();

        for (int i = 0; i < text.Length; i++)
        {
            string wrong = text[..i] + (text[i] == 'b' ? 'c' : 'b') + text[(i + 1)..];
            Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(wrong).Refusal);
        }

        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate("").Refusal);
        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(text + "x").Refusal);
        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(new string('é', ApiKeyText.Length)).Refusal);
    }

    [Fact]
    public async Task AuthenticateAsync_KeysMadeSinceTheLastReading_AreTakenAtOnce()
    {
        await using TestState state = await TestState.CreateAsync();
        KeyRing ring = await state.OpenRingAsync();

        for (int i = 0; i < 5; i++)
        {
            // Written past the ring, as another process does it.
            NewKey made = await state.NewKeyAsync(TestState.Alpha);
            Assert.Equal(made.Key.Id, (await ring.AuthenticateAsync(made.Text.AsMemory(), CancellationToken.None)).Key?.Id);
        }
    }

    [Fact]
    public async Task AuthenticateAsync_ManyAtOnceThatNobodyMade_AreUnknown()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();

        (ApiKey? Key, KeyRefusal? Refusal)[] found =
            await Task.WhenAll(Enumerable.Range(0, 1_000).Select(_ => ring.AuthenticateAsync(ApiKeyText.Create(ApiKeyText.NewId()).AsMemory(), CancellationToken.None).AsTask()));

        Assert.All(found, each => Assert.Equal((null, KeyRefusal.Unknown), each));
        Assert.NotNull((await ring.AuthenticateAsync(made.Text.AsMemory(), CancellationToken.None)).Key);
    }

    [Fact]
    public async Task Authenticate_AfterItsLife_IsExpired()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha, lifetime: TimeSpan.FromHours(1));
        KeyRing ring = await state.OpenRingAsync();

        state.Time.Advance(TimeSpan.FromMinutes(59));
        Assert.Null(ring.Authenticate(made.Text).Refusal);
        state.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(KeyRefusal.Expired, ring.Authenticate(made.Text).Refusal);
    }

    [Fact]
    public async Task Rotate_WithOverlap_BothTextsWorkUntilItsEnd()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey old = await state.NewKeyAsync(TestState.Alpha);
        NewKey fresh = await state.Keys.RotateAsync(old.Key.Id, TimeSpan.FromMinutes(10), null, CancellationToken.None);
        KeyRing ring = await state.OpenRingAsync();

        Assert.Equal(old.Key.Id, fresh.Key.Id);
        Assert.NotNull(ring.Authenticate(old.Text).Key);
        Assert.NotNull(ring.Authenticate(fresh.Text).Key);
        state.Time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(old.Text).Refusal);
        Assert.NotNull(ring.Authenticate(fresh.Text).Key);
    }

    [Fact]
    public async Task Rotate_WithoutOverlap_EndsTheOldTextAtOnce()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey old = await state.NewKeyAsync(TestState.Alpha);
        await state.Keys.RotateAsync(old.Key.Id, TimeSpan.Zero, null, CancellationToken.None);
        KeyRing ring = await state.OpenRingAsync();

        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(old.Text).Refusal);
    }

    [Fact]
    public async Task Revoke_ElsewhereWhileItIsUsed_EndsItWithinASecond()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();
        TaskCompletionSource<KeyEnded> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ring.Ended += end => ended.TrySetResult(end);
        CancellationToken running = ring.EndOf(made.Key.Id, TestState.Alpha);
        Assert.False(running.IsCancellationRequested);

        await state.Keys.RevokeAsync(made.Key.Id, null, CancellationToken.None);

        Assert.Equal(new KeyEnded(made.Key.Id, TestState.Alpha, KeyRefusal.Revoked), await ended.Task.WaitAsync(5 * s_second));
        Assert.True(running.IsCancellationRequested);
        Assert.Equal(KeyRefusal.Revoked, ring.Authenticate(made.Text).Refusal);
        Assert.True(ring.EndOf(made.Key.Id, TestState.Alpha).IsCancellationRequested);
    }

    [Fact]
    public async Task Suspend_ATenant_RefusesItsKeysOnlyUntilItIsResumed()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey alphas = await state.NewKeyAsync(TestState.Alpha), betas = await state.NewKeyAsync(TestState.Beta);
        KeyRing ring = await state.OpenRingAsync();
        CancellationToken alphaRuns = ring.EndOf(alphas.Key.Id, TestState.Alpha), betaRuns = ring.EndOf(betas.Key.Id, TestState.Beta);

        await state.Tenants.SuspendAsync(TestState.Alpha, CancellationToken.None);
        await ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(KeyRefusal.TenantSuspended, ring.Authenticate(alphas.Text).Refusal);
        Assert.Null(ring.Authenticate(betas.Text).Refusal);
        Assert.True(alphaRuns.IsCancellationRequested);
        Assert.False(betaRuns.IsCancellationRequested);

        await state.Tenants.ResumeAsync(TestState.Alpha, CancellationToken.None);
        await ring.RefreshAsync(CancellationToken.None);
        Assert.Null(ring.Authenticate(alphas.Text).Refusal);
        Assert.False(ring.EndOf(alphas.Key.Id, TestState.Alpha).IsCancellationRequested);
    }

    [Fact]
    public async Task Remove_ATenant_EndsItsKeys()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();
        CancellationToken running = ring.EndOf(made.Key.Id, TestState.Alpha);

        await state.Tenants.RemoveAsync(TestState.Alpha, CancellationToken.None);
        await ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(KeyRefusal.Unknown, ring.Authenticate(made.Text).Refusal);
        Assert.True(running.IsCancellationRequested);
        Assert.Null(ring.FindTenant(TestState.Alpha));
    }

    [Fact]
    public async Task Refresh_DatabaseAway_KeepsTheKeysAndChangesNothing()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();
        CancellationToken running = ring.EndOf(made.Key.Id, TestState.Alpha);

        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        string away = state.Options.SqlitePath + ".away";
        File.Move(state.Options.SqlitePath, away);
        Directory.CreateDirectory(state.Options.SqlitePath);
        await Assert.ThrowsAsync<Lamina.Coordinator.State.StateUnavailableException>(() => ring.RefreshAsync(CancellationToken.None));
        await Assert.ThrowsAsync<Lamina.Coordinator.State.StateUnavailableException>(() => state.NewKeyAsync(TestState.Alpha));

        Assert.NotNull(ring.Authenticate(made.Text).Key);
        Assert.False(running.IsCancellationRequested);
        Directory.Delete(state.Options.SqlitePath);
        File.Move(away, state.Options.SqlitePath);
        await state.Keys.RevokeAsync(made.Key.Id, null, CancellationToken.None);
        await ring.RefreshAsync(CancellationToken.None);
        Assert.Equal(KeyRefusal.Revoked, ring.Authenticate(made.Text).Refusal);
    }

    [Fact]
    public async Task Use_OfAKey_IsNotedByDay()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();
        Assert.Null((await state.Keys.ListAsync(TestState.Alpha, CancellationToken.None)).Single().LastUsed);

        ring.Authenticate(made.Text);
        await ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(DateOnly.FromDateTime(state.Time.GetUtcNow().UtcDateTime), (await state.Keys.ListAsync(TestState.Alpha, CancellationToken.None)).Single().LastUsed);
    }

    [Fact]
    public async Task Database_HoldsNoKey()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();

        string secret = made.Text[^20..];
        foreach (string file in Directory.GetFiles(state.Options.Folder))
        {
            Assert.DoesNotContain(secret, await File.ReadAllTextAsync(file, System.Text.Encoding.Latin1), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task OperatorKey_HasNoTenantAndOnlyTheScopeAdmin()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(null);

        Assert.Null(made.Key.Tenant);
        await Assert.ThrowsAsync<AccessChangeException>(() => state.Keys.CreateAsync(null, "o", KeyScopes.Inference, null, CancellationToken.None));
        await Assert.ThrowsAsync<AccessChangeException>(() => state.Keys.CreateAsync(new("nobody"), "o", KeyScopes.Inference, null, CancellationToken.None));
    }

    [Fact]
    public async Task Change_OfAnotherTenantsKey_LooksAsIfItDidNotExist()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);

        AccessChangeException other = await Assert.ThrowsAsync<AccessChangeException>(() => state.Keys.RevokeAsync(made.Key.Id, TestState.Beta, CancellationToken.None));
        AccessChangeException unknown = await Assert.ThrowsAsync<AccessChangeException>(() => state.Keys.RevokeAsync("0123456789ab", TestState.Beta, CancellationToken.None));

        Assert.Equal(unknown.Message.Replace("0123456789ab", made.Key.Id, StringComparison.Ordinal), other.Message);
        Assert.True(other.IsNotFound && unknown.IsNotFound);
    }
}
