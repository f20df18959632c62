using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Tests.Checkpoints.Hub;

public sealed class HubSettingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "/home/u/.cache/huggingface/hub")]
    [InlineData("XDG_CACHE_HOME=/x", "/x/huggingface/hub")]
    [InlineData("XDG_CACHE_HOME=/x HF_HOME=/h", "/h/hub")]
    [InlineData("HF_HOME=~/h", "/home/u/h/hub")]
    [InlineData("HF_HOME=/h HF_HUB_CACHE=/c", "/c")]
    [InlineData("HF_HOME=/h HUGGINGFACE_HUB_CACHE=/old", "/old")]
    [InlineData("HF_HUB_CACHE=~/c HUGGINGFACE_HUB_CACHE=/old", "/home/u/c")]
    [InlineData("HF_HOME= HF_HUB_CACHE=", "/home/u/.cache/huggingface/hub")]
    public void The_cache_is_where_huggingface_hub_has_it(string variables, string cache) =>
        Assert.Equal(cache, Read(variables).Cache);

    [Theory]
    [InlineData("", "https://huggingface.co")]
    [InlineData("HF_ENDPOINT=http://127.0.0.1:80/", "http://127.0.0.1:80")]
    [InlineData("HF_ENDPOINT=https://mirror.example/hf/", "https://mirror.example/hf")]
    public void The_endpoint_has_no_last_slash(string variables, string endpoint) =>
        Assert.Equal(endpoint, Read(variables).Endpoint);

    [Theory]
    [InlineData("HF_ENDPOINT=huggingface.co")]
    [InlineData("HF_ENDPOINT=file:///etc")]
    [InlineData("HF_ENDPOINT=https://u:p@mirror.example")]
    [InlineData("HF_ENDPOINT=https://mirror.example?x")]
    public void Another_endpoint_is_refused(string variables) =>
        Assert.Equal("HF_ENDPOINT", Assert.Throws<KoalaException>(() => Read(variables)).Where);

    [Theory]
    [InlineData("HF_HUB_OFFLINE=1", true)]
    [InlineData("HF_HUB_OFFLINE=true", true)]
    [InlineData("TRANSFORMERS_OFFLINE=Yes", true)]
    [InlineData("HF_HUB_OFFLINE=0", false)]
    [InlineData("", false)]
    public void Offline_accepts_words(string variables, bool offline) => Assert.Equal(offline, Read(variables).Offline);

    [Fact]
    public void The_token_comes_from_the_environment_or_its_file()
    {
        File.WriteAllText(_folder.At("token"), "hf_file\n");
        File.WriteAllText(_folder.At("other"), " hf_other ");
        Assert.Equal("hf_file", Read($"HF_HOME={_folder.Path}").Token);
        Assert.Equal("hf_other", Read($"HF_HOME={_folder.Path} HF_TOKEN_PATH={_folder.At("other")}").Token);
        Assert.Equal("hf_it", Read($"HF_HOME={_folder.Path} HF_TOKEN=hf_it").Token);
        Assert.Null(Read($"HF_HOME={_folder.At("none")}").Token);
    }

    [Fact]
    public void A_token_is_never_shown()
    {
        Assert.DoesNotContain("hf_it", Read("HF_TOKEN=hf_it").ToString());
        File.WriteAllText(_folder.At("token"), "hf_a\nhf_b");
        Assert.DoesNotContain("hf_",
            Assert.Throws<KoalaException>(() => Read($"HF_HOME={_folder.Path}")).Message.Replace("HF_", "",
                StringComparison.Ordinal));
    }

    private static HubSettings Read(string variables)
    {
        var values = $"HOME=/home/u {variables}".Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=', 2))
            .ToDictionary(pair => pair[0], pair => pair[1]);
        return HubSettings.Read(values.GetValueOrDefault);
    }
}
