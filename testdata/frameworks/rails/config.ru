require 'rails'
require 'action_controller/railtie'
require 'action_mailer/railtie'
begin
  require 'web_console'
rescue LoadError
  nil
end

# SCRIPT is on the page with local URLs.
SCRIPT = <<~SCRIPT
  const state = JSON.parse(document.querySelector('#state').dataset.state)
  window.facts = {
    script: '{URL}', state: state.url, html: state.html === `<a href="${location.href}">`,
    canonical: document.querySelector('link[rel=canonical]').href,
    sheet: document.querySelector("link[rel=stylesheet]").sheet.href,
  }
  new MutationObserver(() => {
    window.facts.streamed = document.querySelector('#streamed').textContent === `${location.href} true`
  }).observe(document.querySelector('#streamed'), { childList: true, subtree: true })
  document.querySelector('#send').click()
SCRIPT

AS_SCRIPT = ->(text) { [200, { 'Content-Type' => 'text/javascript' }, [text]] }

class Shop < Rails::Application
  config.load_defaults 6.1
  config.eager_load = false
  config.consider_all_requests_local = true
  config.secret_key_base = 'of the project'
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.content_security_policy_nonce_generator = ->(_) { SecureRandom.base64(16) }
  config.content_security_policy_nonce_directives = %w[script-src]
  routes.append do
    root to: 'shop#index'
    get 'urls', to: 'shop#urls'
    post 'urls', to: 'shop#stream'
    get 'scripts/turbo.js', to: ->(_) { AS_SCRIPT.(File.read(File.expand_path('node_modules/@hotwired/turbo/dist/turbo.es2017-esm.js', __dir__))) }
    get 'scripts/urls.js', to: ->(env) { AS_SCRIPT.(SCRIPT.sub('{URL}', ActionDispatch::Request.new(env).url)) }
    get 'boom', to: 'shop#boom'
  end
end

class ShopController < ActionController::Base
  def index
    render inline: '<!doctype html><title>shop</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><h1 id="headline">before</h1>'
  end

  # The pages below know only the address that they are requested at, which is local.
  content_security_policy only: :urls do |policy|
    policy.default_src :none
    policy.script_src -> { request.base_url }
    policy.style_src :self, -> { request.base_url }, :unsafe_inline
    policy.connect_src -> { request.base_url }
    policy.img_src :data, -> { request.base_url }
    policy.form_action -> { request.base_url }
  end

  def urls
    render inline: <<~PAGE
      <!doctype html><title>shop</title><link rel="icon" href="data:,">
      <link rel="canonical" href="<%= request.url %>">
      <link rel="stylesheet" href="<%= request.base_url %>/style.css">
      <%= csrf_meta_tags %><%= csp_meta_tag %>
      <script type="importmap" nonce="<%= request.content_security_policy_nonce %>"><%== JSON.generate(imports: {
        turbo: "#{request.base_url}/scripts/turbo.js", urls: "#{request.base_url}/scripts/urls.js"
      }) %></script>
      <%= javascript_tag "import 'turbo'; import 'urls'", type: 'module', nonce: true %>
      <h1 id="headline">urls</h1><p id="streamed"></p>
      <%= content_tag :div, nil, id: 'state', data: { state: { url: request.url, html: '<a href="' + request.url + '">' } } %>
      <%= form_with url: request.url, id: 'form' do |form| %>
        <%= form.hidden_field :back, value: request.url %><button id="send">Send</button>
      <% end %>
    PAGE
  end

  def stream
    text = "#{request.url} #{params[:back] == request.url}"
    render body: %(<turbo-stream action="update" target="streamed"><template><a href="#{request.url}">#{text}</a></template></turbo-stream>),
      content_type: 'text/vnd.turbo-stream.html'
  end

  def boom
    raise "no such #{ENV['APP_SECRET'].size}"
  end
end

Shop.initialize!
run Shop
